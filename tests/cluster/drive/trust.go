package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// distrusted checks what becomes of a server whose certificate nobody vouches for: only a flag of kico's own makes it believe.
func (story *Story) distrusted() {
	step("a server that is not to be trusted")
	with := func(name string, change func(*api.Cluster)) *Kico {
		config := must(clientcmd.LoadFromFile(story.kico.kubeconfig))
		change(config.Clusters["test"])
		path := filepath.Join(scratch, name+".kubeconfig")
		try(clientcmd.WriteToFile(*config, path))
		return &Kico{program: story.kico.program, kubeconfig: path}
	}
	token := must(clientcmd.LoadFromFile(story.kico.kubeconfig)).AuthInfos["kico"].Token
	refused := func(what, name, because string, kico *Kico) {
		ran := kico.run("fetch", name)
		_, err := os.Stat(filepath.Join(scratch, name))
		complaint := ""
		if !strings.Contains(ran.stderr, because) || strings.Contains(ran.stdout+ran.stderr, token) || err == nil {
			complaint = fmt.Sprintf("it says %q, or its token, or leaves %s", ran.stderr, name)
		}
		check(what, ran.expect(2), complaint)
	}
	refused("a certificate that no authority of the system signed is refused", "unsigned", "certificate",
		with("unsigned", func(cluster *api.Cluster) { cluster.CertificateAuthority = "" }))
	careless := with("careless", func(cluster *api.Cluster) {
		cluster.CertificateAuthority, cluster.InsecureSkipTLSVerify = "", true
	})
	refused("so is a kubeconfig that says not to look", "careless", "insecure-skip-tls-verify", careless)
	ran := careless.run("fetch", "careless", "--insecure-skip-tls-verify")
	complaint := ""
	if !strings.Contains(ran.stderr, "not verified") {
		complaint = ran.String()
	}
	check("unless kico itself is told so, and it warns", ran.expect(0), complaint)
}
