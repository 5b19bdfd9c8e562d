package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

const (
	apiAddress  = "192.168.7.10"
	etcdAddress = "http://127.0.0.1:2379"
	// kicoUser is who kico is, in the audit log.
	kicoUser = "system:serviceaccount:kico:kico"
)

// ControlPlane is etcd and kube-apiserver, with who may speak to it.
type ControlPlane struct {
	authority *Authority
	config    *rest.Config
	client    *kubernetes.Clientset
	audit     string
}

// The audit log holds what kico asks for, and nothing else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["` + kicoUser + `"]
- level: None
`

func newControlPlane() *ControlPlane {
	plane := &ControlPlane{authority: newAuthority(), audit: filepath.Join(scratch, "audit.log")}
	start("etcd", nil, nil, program("etcd"), "--data-dir", filepath.Join(scratch, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", etcdAddress, "--advertise-client-urls", etcdAddress, "--log-level", "warn")

	serving, servingKey := plane.authority.issue("apiserver", "kube-apiserver", nil, apiAddress, "10.96.0.1")
	toKubelet, toKubeletKey := plane.authority.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", nil)
	policy := filepath.Join(scratch, "audit-policy.yaml")
	try(os.WriteFile(policy, []byte(auditPolicy), 0o600))
	start("kube-apiserver", nil, nil, program("kube-apiserver"), "--etcd-servers", etcdAddress,
		"--advertise-address", apiAddress, "--bind-address", apiAddress, "--secure-port", "6443",
		"--tls-cert-file", serving, "--tls-private-key-file", servingKey, "--client-ca-file", plane.authority.path,
		"--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file", servingKey, "--service-account-signing-key-file", servingKey,
		"--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC",
		"--kubelet-client-certificate", toKubelet, "--kubelet-client-key", toKubeletKey,
		"--kubelet-certificate-authority", plane.authority.path, "--kubelet-preferred-address-types", "InternalIP",
		// No controller runs that would make the accounts which it waits for.
		"--disable-admission-plugins", "ServiceAccount",
		"--audit-policy-file", policy, "--audit-log-path", plane.audit)

	certificate, key := plane.authority.issue("admin", "admin", []string{"system:masters"})
	plane.config = &rest.Config{Host: "https://" + apiAddress + ":6443", QPS: 1000, Burst: 1000, WarningHandler: rest.NoWarnings{},
		TLSClientConfig: rest.TLSClientConfig{CAFile: plane.authority.path, CertFile: certificate, KeyFile: key}}
	plane.client = must(kubernetes.NewForConfig(plane.config))
	eventually("the API server is ready", 2*time.Minute, func() bool {
		return plane.client.RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error() == nil
	})
	return plane
}

// kubeconfig writes NAME.kubeconfig for whoever `user` is.
func (plane *ControlPlane) kubeconfig(name string, user *api.AuthInfo) string {
	config := api.NewConfig()
	config.Clusters["test"] = &api.Cluster{Server: plane.config.Host, CertificateAuthority: plane.authority.path}
	config.AuthInfos[name] = user
	config.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: name}
	config.CurrentContext = "test"
	path := filepath.Join(scratch, name+".kubeconfig")
	try(clientcmd.WriteToFile(*config, path))
	return path
}
