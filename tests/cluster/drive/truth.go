package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Party is one end of a connection, as the report names it.
type Party struct{ kind, namespace, name string }

// Server is whom a name means, and what the report must say of it.
type Server struct {
	Party
	ports, workloads string
	behind           []*Workload
	widened          bool // an endpoint's name stands for its Service
}

func (service *Service) server() Server {
	server := Server{Party: Party{"Service", service.namespace, service.name}, ports: fmt.Sprintf("%d/TCP", service.port), behind: service.workloads}
	for _, workload := range service.workloads {
		server.workloads = workload.kind + "/" + workload.name
	}
	return server
}

func (service *Service) endpoint() Server {
	server := service.server()
	server.widened = true
	return server
}

func external(name string) Server { return Server{Party: Party{"External", "", name}} }

// Connection is what was asked of a server by one client, counted while it was asked.
type Connection struct {
	server            Server
	client            *Workload
	queries, attempts int
	names, ips        map[string]bool
	first, last       [2]time.Time // between these
	widened           bool
}

// Failure is a name that was never answered.
type Failure struct {
	client Party
	name   string
}

// Truth is what the driver asked, and for whom. Nothing in it comes from kico, nor from what CoreDNS logged.
type Truth struct {
	mutex            sync.Mutex
	connections      map[[2]Party]*Connection
	failures         map[Failure]int
	answered, failed int
}

func newTruth() *Truth {
	return &Truth{connections: map[[2]Party]*Connection{}, failures: map[Failure]int{}}
}

func clientOf(workload *Workload, pod *corev1.Pod) Party {
	if pod.Spec.HostNetwork {
		return Party{"Node", "", pod.Spec.NodeName}
	}
	return Party{workload.kind, workload.namespace, workload.name}
}

// reached writes down that the pod looked a server up: the lookups of the last name were answered, the others failed on the way.
func (truth *Truth) reached(workload *Workload, pod *corev1.Pod, server Server, lookups []Lookup, from, to time.Time) {
	truth.mutex.Lock()
	defer truth.mutex.Unlock()
	client := clientOf(workload, pod)
	connection := truth.connections[[2]Party{client, server.Party}]
	if connection == nil {
		connection = &Connection{server: server, client: workload, names: map[string]bool{}, ips: map[string]bool{}, first: [2]time.Time{from, to}}
		truth.connections[[2]Party{client, server.Party}] = connection
	}
	answer := lookups[len(lookups)-1].name
	for _, lookup := range lookups {
		switch {
		case lookup.name == answer && lookup.rcode == "NOERROR":
			connection.queries++
			truth.answered++
		case lookup.name != answer && lookup.rcode == "NXDOMAIN":
			connection.attempts++
			truth.failed++
		default:
			give("%s asks for %s: %v was not to be", pod.Name, answer, lookup)
		}
	}
	connection.names[answer] = true
	connection.ips[pod.Status.PodIP] = true
	connection.last = [2]time.Time{from, to}
	connection.widened = connection.widened || server.widened
}

// lost writes down that the pod looked for a name in vain. `name` is what the report must call it.
func (truth *Truth) lost(workload *Workload, pod *corev1.Pod, name string, lookups []Lookup) {
	truth.mutex.Lock()
	defer truth.mutex.Unlock()
	for _, lookup := range lookups {
		if lookup.rcode != "NXDOMAIN" {
			give("%s asks in vain: %v was not to be", pod.Name, lookup)
		}
	}
	truth.failures[Failure{clientOf(workload, pod), name}] += len(lookups)
	truth.failed += len(lookups)
}

func joined(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ";")
}

// rows are what the CSV must say, times apart.
func (truth *Truth) rows() []string {
	var rows []string
	for key, connection := range truth.connections {
		client, server := key[0], connection.server
		status, workload := "ok", client.kind+"/"+client.name
		if connection.widened {
			status = "widened"
		}
		if client.kind == "Node" {
			workload = ""
		}
		rows = append(rows, strings.Join([]string{client.kind, client.namespace, client.name, joined(connection.ips), server.kind, server.namespace, server.name,
			server.ports, joined(connection.names), fmt.Sprint(connection.queries), "0", status, server.workloads, workload}, ","))
	}
	return rows
}

// compareCSV is what is wrong with a CSV: every row but its times exactly, the times within those of the lookups.
func (truth *Truth) compareCSV(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	table, err := csv.NewReader(file).ReadAll()
	if err != nil || len(table) == 0 {
		return fmt.Sprintf("%s: no CSV: %v", path, err)
	}
	column := map[string]int{}
	for at, name := range table[0] {
		column[name] = at
	}
	sorted := func(list string) string {
		return strings.Join(slices.Sorted(slices.Values(strings.Split(list, ";"))), ";")
	}
	var got []string
	var late strings.Builder
	for _, row := range table[1:] {
		cell := func(name string) string { return row[column[name]] }
		got = append(got, strings.Join([]string{cell("client_kind"), cell("client_namespace"), cell("client_name"), sorted(cell("client_ips")), cell("server_kind"),
			cell("server_namespace"), cell("server_name"), cell("ports"), sorted(cell("names")), cell("queries"), cell("failed"), cell("status"),
			cell("server_workloads"), cell("client_workload")}, ","))
		connection := truth.connections[[2]Party{{cell("client_kind"), cell("client_namespace"), cell("client_name")},
			{cell("server_kind"), cell("server_namespace"), cell("server_name")}}]
		if connection == nil {
			continue
		}
		fmt.Fprint(&late, outside(cell("first_seen"), connection.first), outside(cell("last_seen"), connection.last))
	}
	return sameLines(got, truth.rows()) + late.String()
}

// outside is the complaint of a time that cannot be: a line is written a moment after its lookup, and reports hold whole seconds.
func outside(cell string, between [2]time.Time) string {
	seen, err := time.Parse(time.RFC3339, cell)
	if err == nil && !seen.Before(between[0].Truncate(time.Second)) && !seen.After(between[1].Add(time.Second)) {
		return ""
	}
	return fmt.Sprintf("%q is not between %v and %v\n", cell, between[0], between[1])
}

// Report is as much of the JSON report as is looked at.
type Report struct {
	Coverage struct {
		Lines struct {
			Queries  int            `json:"queries"`
			Rejected map[string]int `json:"rejected"`
		} `json:"lines"`
		Queries struct {
			Answered int `json:"answered"`
			Failed   int `json:"failed"`
		} `json:"queries"`
	} `json:"coverage"`
	Connections []struct {
		Client   Named `json:"client"`
		Server   Named `json:"server"`
		Attempts int   `json:"attempts"`
	} `json:"connections"`
	FailedLookups []struct {
		Client  Named  `json:"client"`
		Name    string `json:"name"`
		Rcode   string `json:"rcode"`
		Queries int    `json:"queries"`
	} `json:"failedLookups"`
}

// Named is a party in the JSON report.
type Named struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// compareJSON is what is wrong with a JSON report: how many lookups it saw, what never was answered, what the search path cost.
func (truth *Truth) compareJSON(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var report Report
	if err := json.Unmarshal(content, &report); err != nil {
		return err.Error()
	}
	var got, want []string
	for _, row := range report.FailedLookups {
		got = append(got, fmt.Sprint(row.Client.party(), row.Name, " ", row.Rcode, " ", row.Queries))
	}
	for failure, count := range truth.failures {
		want = append(want, fmt.Sprint(failure.client, failure.name, " NXDOMAIN ", count))
	}
	for _, row := range report.Connections {
		got = append(got, fmt.Sprint(row.Client.party(), row.Server.party(), " attempts ", row.Attempts))
	}
	for key, connection := range truth.connections {
		want = append(want, fmt.Sprint(key[0], key[1], " attempts ", connection.attempts))
	}
	lines, queries := report.Coverage.Lines, report.Coverage.Queries
	rejected := 0
	for _, count := range lines.Rejected {
		rejected += count
	}
	got = append(got, fmt.Sprintf("%d lines with queries, %d rejected; %d answered, %d failed", lines.Queries, rejected, queries.Answered, queries.Failed))
	want = append(want, fmt.Sprintf("%d lines with queries, 0 rejected; %d answered, %d failed", truth.answered+truth.failed, truth.answered, truth.failed))
	return sameLines(got, want)
}

func (named Named) party() Party { return Party{named.Kind, named.Namespace, named.Name} }
