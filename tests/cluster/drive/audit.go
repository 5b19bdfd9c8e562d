package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// Asked is one request of kico's, as the API server's audit log tells of it.
type Asked struct {
	Stage      string `json:"stage"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	ObjectRef  *struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		APIGroup    string `json:"apiGroup"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// right is what a rule must grant for this request: `list pods`, `get pods/log`, `list jobs.batch`.
func (asked Asked) right() string {
	return right(asked.Verb, asked.ObjectRef.APIGroup, strings.TrimSuffix(asked.ObjectRef.Resource+"/"+asked.ObjectRef.Subresource, "/"))
}

func right(verb, group, resource string) string {
	if group != "" {
		resource += "." + group
	}
	return verb + " " + resource
}

// requests are all of kico's since the audit log was this long.
func (plane *ControlPlane) requests(from int) (requests []Asked) {
	lines := bufio.NewScanner(bytes.NewReader(must(os.ReadFile(plane.audit))[from:]))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked Asked
		try(json.Unmarshal(lines.Bytes(), &asked))
		requests = append(requests, asked)
	}
	try(lines.Err())
	return requests
}

func (plane *ControlPlane) audited() int { return len(must(os.ReadFile(plane.audit))) }

// compareRole is where the Role of the repository and what kico asked for are not the same.
func (plane *ControlPlane) compareRole(path string) string {
	granted, used := map[string]bool{}, map[string]bool{}
	for _, document := range bytes.Split(must(os.ReadFile(path)), []byte("\n---\n")) {
		var role rbacv1.Role
		try(yaml.Unmarshal(document, &role))
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						granted[right(verb, group, resource)] = true
					}
				}
			}
		}
	}
	var refused []string
	for _, asked := range plane.requests(0) {
		if asked.ResponseStatus.Code == 403 {
			refused = append(refused, "refused: "+asked.Verb+" "+asked.RequestURI)
		}
		if asked.ObjectRef != nil {
			used[asked.right()] = true
		}
	}
	return strings.Join(refused, "\n") + sameLines(slices.Sorted(maps.Keys(granted)), slices.Sorted(maps.Keys(used)))
}

// comparePages is what is wrong with how the pods were listed: in all namespaces, never more than 500 at once, all of them.
func comparePages(requests []Asked, pods int) string {
	pages := 0
	for _, asked := range requests {
		where := must(url.Parse(asked.RequestURI))
		if asked.Verb != "list" || asked.Stage != "ResponseComplete" || where.Path != "/api/v1/pods" {
			continue
		}
		if where.Query().Get("limit") != "500" {
			return "pods were asked for without a limit of 500: " + asked.RequestURI
		}
		pages++
	}
	// Before the logs and after them.
	if want := 2 * ((pods + 499) / 500); pages != want {
		return fmt.Sprintf("%d pages of pods were asked for, and not %d", pages, want)
	}
	return ""
}
