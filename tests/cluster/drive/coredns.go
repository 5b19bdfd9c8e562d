package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/clientcmd/api"
)

// The cluster's DNS: a Deployment in the middle of an upgrade, so that one replica is of today and one of 2019, whose log
// lines begin with a time of their own. Each is a process bound to its pod's address; `bind`, the addresses of `health`
// and `ready`, and `kubeconfig` stand in for a network namespace and a mounted token.
const corefile = `.:53 {
    bind {$POD_IP}
    errors
    log
    health {$POD_IP}:8080
    ready {$POD_IP}:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig {$KUBECONFIG} test
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    forward . ` + upstream + `
    cache 30
    reload
}
`

// What the world outside answers: two domains, and NXDOMAIN for the rest.
const upstream = "192.168.7.53"

const upstreamCorefile = `.:53 {
    bind ` + upstream + `
    ready ` + upstream + `:8181
    template IN A partner.example example.net {
        answer "{{ .Name }} 60 IN A 203.0.113.7"
    }
    template IN ANY partner.example example.net {
        rcode NOERROR
    }
    template IN ANY . {
        rcode NXDOMAIN
    }
}
`

// DNS is the cluster's CoreDNS.
type DNS struct {
	plane      *ControlPlane
	kubelet    *Kubelet
	workload   *Workload
	deployment *appsv1.Deployment
	set        *appsv1.ReplicaSet
	kubeconfig string

	mutex    sync.Mutex
	replicas []*Container // those that are asked
	turn     int
	all      []*Container
}

func newDNS(plane *ControlPlane, kubelet *Kubelet) *DNS {
	path := filepath.Join(scratch, "upstream.Corefile")
	try(os.WriteFile(path, []byte(upstreamCorefile), 0o600))
	start("upstream", nil, nil, program("coredns"), "-conf", path)
	ready(upstream)

	certificate, key := plane.authority.issue("coredns", "coredns", nil)
	dns := &DNS{plane: plane, kubelet: kubelet, kubeconfig: plane.kubeconfig("coredns", &api.AuthInfo{ClientCertificate: certificate, ClientKey: key})}
	read := []string{"list", "watch"}
	must(plane.client.RbacV1().ClusterRoles().Create(background, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "system:coredns"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"endpoints", "services", "pods", "namespaces"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
	}}, metav1.CreateOptions{}))
	must(plane.client.RbacV1().ClusterRoleBindings().Create(background, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "system:coredns"},
		Subjects: []rbacv1.Subject{{Kind: "User", Name: "coredns"}}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "system:coredns"}}, metav1.CreateOptions{}))

	must(plane.client.CoreV1().ConfigMaps("kube-system").Create(background, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns"}, Data: map[string]string{"Corefile": corefile}}, metav1.CreateOptions{}))
	try(os.WriteFile(filepath.Join(scratch, "Corefile"), []byte(corefile), 0o600))

	labels := map[string]string{"k8s-app": "kube-dns"}
	shape := dnsShape("1.15.0")
	replicas := int32(2)
	dns.workload = &Workload{kind: "Deployment", namespace: "kube-system", name: "coredns", labels: labels}
	dns.deployment = must(plane.client.AppsV1().Deployments("kube-system").Create(background, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns", Labels: labels},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: shape.template("coredns", labels)},
	}, metav1.CreateOptions{}))
	dns.set = plane.replicaSet(dns.workload, dns.deployment, "6799fbcd5", shape, "10.42.1.2")
	plane.replicaSet(dns.workload, dns.deployment, "5644d7b6d9", dnsShape("1.6.2"), "10.42.2.2")
	service := must(plane.client.CoreV1().Services("kube-system").Create(background, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-dns", Labels: labels}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.10", Selector: labels,
			Ports: []corev1.ServicePort{{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(53)},
				{Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(53)}}}}, metav1.CreateOptions{}))
	plane.endpoints(service, dns.workload, []corev1.EndpointPort{
		{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP}})
	return dns
}

func dnsShape(version string) Shape {
	return Shape{port: 53, configMap: "coredns", labels: map[string]string{"k8s-app": "kube-dns"}, image: "registry.k8s.io/coredns/coredns:v" + version}
}

// run starts a replica in a pod.
func (dns *DNS) run(pod *corev1.Pod, binary string) *Container {
	container := runContainer(dns.plane, pod, program(binary), "POD_IP="+pod.Status.PodIP, "KUBECONFIG="+dns.kubeconfig)
	dns.kubelet.add(container)
	dns.mutex.Lock()
	defer dns.mutex.Unlock()
	dns.replicas = append(dns.replicas, container)
	dns.all = append(dns.all, container)
	return container
}

// runAll starts the replicas: after everything that they are asked for is there.
func (dns *DNS) runAll() {
	dns.run(dns.workload.pods[0], "coredns")
	dns.run(dns.workload.pods[1], "coredns-old")
}

// grow adds a replica.
func (dns *DNS) grow(address string) *Container {
	labels := with(dns.workload.labels, "pod-template-hash", "6799fbcd5")
	pod := dns.plane.pod(dns.workload, dns.set.Name+"-n8wq4", dnsShape("1.15.0"), labels, address,
		owner(dns.set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet")))
	return dns.run(pod, "coredns")
}

// crash ends a replica's process while nobody waits for its answer; CoreDNS writes its line after the answer is sent, so it gets a
// moment for that.
func (dns *DNS) crash(container *Container) {
	dns.mutex.Lock()
	dns.replicas = slices.DeleteFunc(dns.replicas, func(other *Container) bool { return other == container })
	dns.mutex.Unlock()
	time.Sleep(300 * time.Millisecond)
	container.crash()
	dns.mutex.Lock()
	dns.replicas = append(dns.replicas, container)
	dns.mutex.Unlock()
}

// asked is how many lookups were answered since the beginning.
func (dns *DNS) asked() (sum int) {
	for _, container := range dns.all {
		sum += int(container.asked.Load())
	}
	return sum
}

// settle waits until every line that must be there is in the files, and sees that no other is.
func (dns *DNS) settle() {
	for _, container := range dns.all {
		eventually(fmt.Sprintf("the log of %s has all %d lookups", container.pod.Name, container.asked.Load()), 5*time.Second,
			func() bool { return int64(container.written()) == container.asked.Load() })
	}
}

// next is the replica whose turn it is: what kube-proxy would choose.
func (dns *DNS) next() *Container {
	dns.turn++
	return dns.replicas[dns.turn%len(dns.replicas)]
}

// ready waits until CoreDNS has what it needs, and listens (which comes after), without a lookup that its log would show.
func ready(address string) {
	client := http.Client{Timeout: time.Second}
	eventually("CoreDNS at "+address+" is ready", time.Minute, func() bool {
		answer, err := client.Get(fmt.Sprintf("http://%s:8181/ready", address))
		if err != nil {
			return false
		}
		answer.Body.Close()
		ip := net.ParseIP(address).To4()
		socket := fmt.Sprintf(" %02X%02X%02X%02X:0035 ", ip[3], ip[2], ip[1], ip[0])
		return answer.StatusCode == http.StatusOK && strings.Contains(string(must(os.ReadFile("/proc/net/udp"))), socket)
	})
}
