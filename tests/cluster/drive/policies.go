package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// decode reads a stream of policies, strictly. Comments and the table in front of them are no policies.
func decodePolicies(text string) (policies []networkingv1.NetworkPolicy, err error) {
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		if !strings.Contains(document, "\nkind: NetworkPolicy") {
			continue
		}
		var policy networkingv1.NetworkPolicy
		if err := yaml.UnmarshalStrict([]byte(document), &policy); err != nil {
			return nil, err
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

// policiesIn reads a directory of policies.
func policiesIn(directory string) (policies []networkingv1.NetworkPolicy, err error) {
	err = filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		some, err := decodePolicies(string(must(os.ReadFile(path))))
		policies = append(policies, some...)
		return err
	})
	return policies, err
}

// accepted is what the API server has against the policies. It is asked, and nothing is made.
func (plane *ControlPlane) accepted(policies []networkingv1.NetworkPolicy) string {
	var refused strings.Builder
	for _, policy := range policies {
		_, err := plane.client.NetworkingV1().NetworkPolicies(policy.Namespace).Create(background, &policy,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			fmt.Fprintln(&refused, err)
		}
	}
	return refused.String()
}

// shape is whom a policy protects, on which ports, and whom it lets in: one line a peer.
func shape(policy networkingv1.NetworkPolicy) (lines []string) {
	subject := policy.Namespace + "/" + labels(policy.Spec.PodSelector)
	for _, rule := range policy.Spec.Ingress {
		var ports []string
		for _, port := range rule.Ports {
			ports = append(ports, fmt.Sprintf("%s/%s", port.Port, *port.Protocol))
		}
		for _, peer := range rule.From {
			from := "?"
			if peer.NamespaceSelector != nil && peer.PodSelector != nil && peer.IPBlock == nil {
				from = labels(*peer.NamespaceSelector) + "/" + labels(*peer.PodSelector)
			}
			lines = append(lines, subject+" "+strings.Join(ports, ";")+" from "+from)
		}
	}
	return lines
}

func labels(selector metav1.LabelSelector) string { return metav1.FormatLabelSelector(&selector) }

// policyLines are what the policies must allow: each workload that was asked for, to each one that asked and can be named.
func (truth *Truth) policyLines(only func(*Workload) bool) (lines []string) {
	for key, connection := range truth.connections {
		for _, subject := range connection.server.behind {
			if key[0].kind == "Node" || !only(subject) {
				continue
			}
			selector := func(set map[string]string) string { return labels(metav1.LabelSelector{MatchLabels: set}) }
			lines = append(lines, fmt.Sprintf("%s/%s %s from kubernetes.io/metadata.name=%s/%s", subject.namespace, selector(subject.labels),
				connection.server.ports, connection.client.namespace, selector(connection.client.labels)))
		}
	}
	slices.Sort(lines)
	return lines
}

// comparePolicies is what is wrong with what the policies allow.
func (truth *Truth) comparePolicies(policies []networkingv1.NetworkPolicy, only func(*Workload) bool) string {
	var got []string
	for _, policy := range policies {
		got = append(got, shape(policy)...)
	}
	return sameLines(got, truth.policyLines(only))
}
