package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs everybody's certificate, for a day.
type Authority struct {
	path        string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() *Authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	authority := &Authority{filepath.Join(scratch, "ca.crt"), must(x509.ParseCertificate(der)), key}
	writePEM(authority.path, "CERTIFICATE", der)
	return authority
}

// issue writes NAME.crt and NAME.key for a server at these addresses, who as a client is `user` of `groups`.
func (authority *Authority) issue(name, user string, groups []string, addresses ...string) (certificate, key string) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: user, Organization: groups},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	der := must(x509.CreateCertificate(rand.Reader, template, authority.certificate, &private.PublicKey, authority.key))
	certificate, key = filepath.Join(scratch, name+".crt"), filepath.Join(scratch, name+".key")
	writePEM(certificate, "CERTIFICATE", der)
	writePEM(key, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(private)))
	return certificate, key
}

func writePEM(path, kind string, der []byte) {
	try(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// clientsOnly asks for a certificate of this authority.
func (authority *Authority) clientsOnly() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(authority.certificate)
	return &tls.Config{ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
}
