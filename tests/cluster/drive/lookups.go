package main

import (
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
)

// Lookup is one question, and how it was answered.
type Lookup struct {
	name, kind, rcode string
}

// resolve looks a name up as glibc does in a pod: A and AAAA together, through the search path while the name has fewer
// than five dots, until one of them is answered. The last lookups are those of the name that was.
func (cluster *DNS) resolve(pod *corev1.Pod, name string) []Lookup {
	names := []string{name}
	if !strings.HasSuffix(name, ".") {
		names = nil
		searches := []string{pod.Namespace + ".svc.cluster.local", "svc.cluster.local", "cluster.local"}
		for _, suffix := range searches {
			names = append(names, name+"."+suffix)
		}
		if strings.Count(name, ".") < 5 {
			names = append(names, name)
		} else {
			names = append([]string{name}, names...)
		}
	}
	var lookups []Lookup
	cluster.mutex.Lock()
	defer cluster.mutex.Unlock()
	server := cluster.next()
	for _, name := range names {
		a := cluster.ask(pod, server, name, dns.TypeA)
		aaaa := cluster.ask(pod, server, name, dns.TypeAAAA)
		lookups = append(lookups, a, aaaa)
		if a.rcode == "NOERROR" || aaaa.rcode == "NOERROR" {
			break
		}
	}
	return lookups
}

// askOnce asks for one name as it stands.
func (cluster *DNS) askOnce(pod *corev1.Pod, name string, kind uint16) Lookup {
	cluster.mutex.Lock()
	defer cluster.mutex.Unlock()
	return cluster.ask(pod, cluster.next(), name, kind)
}

// ask sends one question from the pod's address. Without an answer the truth would be unknown: then the run ends.
func (cluster *DNS) ask(pod *corev1.Pod, server *Container, name string, kind uint16) Lookup {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	client := dns.Client{Timeout: 5 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(pod.Status.PodIP)}}}
	answer, _, err := client.Exchange(question, server.pod.Status.PodIP+":53")
	if err != nil {
		give("%s asks %s for %s %s: %v", pod.Name, server.pod.Name, dns.TypeToString[kind], name, err)
	}
	server.asked.Add(1)
	return Lookup{strings.TrimSuffix(dns.Fqdn(name), "."), dns.TypeToString[kind], dns.RcodeToString[answer.Rcode]}
}
