package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// What was checked so far. The process says each check as it is made, and counts.
var passed, failed int

var began = time.Now()

// step says what begins now.
func step(format string, words ...any) {
	fmt.Printf("\n-- %s (after %.0f s)\n", fmt.Sprintf(format, words...), time.Since(began).Seconds())
}

// check counts one statement about kico, and says why it does not hold, if it does not.
func check(what string, complaints ...string) bool {
	complaints = slices.DeleteFunc(complaints, func(text string) bool { return text == "" })
	if len(complaints) == 0 {
		passed++
		fmt.Println("ok    ", what)
		return true
	}
	failed++
	fmt.Println("FAILED", what)
	for _, text := range complaints {
		fmt.Println("         " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n         "))
	}
	return false
}

// equal is the complaint of two values that are not the same.
func equal[T comparable](what string, got, want T) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s: %v, and not %v", what, got, want)
}

// sameLines is the complaint of two sets of lines that are not the same: what is missing, and what should not be there.
func sameLines(got, want []string) string {
	var text strings.Builder
	got, want = slices.Clone(got), slices.Clone(want)
	for _, line := range want {
		if at := slices.Index(got, line); at >= 0 {
			got = slices.Delete(got, at, at+1)
		} else {
			fmt.Fprintln(&text, "missing:   ", line)
		}
	}
	for _, line := range got {
		fmt.Fprintln(&text, "unexpected:", line)
	}
	return text.String()
}

// must ends the run: without what failed here, nothing that follows would prove anything.
func must[T any](value T, err error) T {
	try(err)
	return value
}

func try(err error) {
	if err != nil {
		give("%v", err)
	}
}

// give ends the run with what went wrong in the cluster, not in kico.
func give(format string, words ...any) {
	fmt.Fprintf(os.Stderr, "\n!! the cluster, not kico: "+format+"\n", words...)
	stopAll()
	os.Exit(2)
}

// eventually waits until what is said is so.
func eventually(what string, limit time.Duration, so func() bool) {
	for end := time.Now().Add(limit); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			give("after %v still not: %s", limit, what)
		}
	}
}
