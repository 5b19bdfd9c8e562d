// The proof of kico on a real control plane: etcd, kube-apiserver and two generations of CoreDNS, without containers. The driver makes
// a cluster's objects, looks names up from its pods' addresses, and keeps the truth of what it asked; then the built kico fetches,
// analyses, follows, and must find exactly that. It refuses to guess: a cluster that does not do as it should ends the run with status 2,
// and says which process it was; what kico does wrong is counted, status 1.
//
// It runs in a network and process namespace of its own (see `run`): all of 10.42.0.0/16 and 192.168.7.0/24 are its own addresses.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Where everything is: what this run makes, the built servers, the repository.
var (
	scratch  = os.Getenv("CLUSTER_SCRATCH")
	programs = os.Getenv("CLUSTER_PROGRAMS")
	root     = os.Getenv("CLUSTER_ROOT")
)

func program(name string) string { return filepath.Join(programs, name) }

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { give("%v", <-signals) }()

	story := newStory(&Kico{program: os.Getenv("KICO_BIN")})
	story.day()
	story.byHand()
	story.fetched()
	story.policies()
	story.oneLiner()
	story.followed()
	story.ended()
	story.distrusted()
	story.crowd()
	check("deploy/fetch-role.yaml grants what kico asked for, all of it and no more", story.plane.compareRole(filepath.Join(root, "deploy/fetch-role.yaml")))

	stopAll()
	fmt.Printf("\n%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
