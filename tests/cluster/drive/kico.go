package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Kico is the program that is tested, and who it is to the API server.
type Kico struct{ program, kubeconfig string }

// Going is a run that has not ended yet.
type Going struct {
	command        *exec.Cmd
	what           string
	stdout, stderr bytes.Buffer
	peak           chan int
}

// begin starts kico (or another program, by its name or path) as kico's own user.
func (kico *Kico) begin(argv ...string) *Going {
	going := &Going{command: exec.Command(argv[0], argv[1:]...), what: strings.Join(argv, " "), peak: make(chan int, 1)}
	going.command.Env = append(os.Environ(), "KUBECONFIG="+kico.kubeconfig, "HOME="+scratch, "PATH="+filepath.Join(scratch, "bin")+":"+os.Getenv("PATH"))
	going.command.Stdout, going.command.Stderr = &going.stdout, &going.stderr
	going.command.Dir = scratch
	going.command.WaitDelay = time.Second
	try(going.command.Start())
	go going.measure()
	return going
}

// measure reads the kernel's own high-water mark of the process's memory until it is gone. (What wait4 tells begins with the memory of
// the process that forked.)
func (going *Going) measure() {
	path, peak := fmt.Sprintf("/proc/%d/status", going.command.Process.Pid), 0
	for {
		content, err := os.ReadFile(path)
		at := bytes.Index(content, []byte("VmHWM:"))
		if err != nil || at < 0 {
			going.peak <- peak
			return
		}
		_, _ = fmt.Sscanf(string(content[at:]), "VmHWM: %d kB", &peak)
		time.Sleep(2 * time.Millisecond)
	}
}

// patience is how long kico may take to end; everything that it is asked for here takes far less.
const patience = 3 * time.Minute

// end waits for it. One that hangs is killed, and has then failed.
func (going *Going) end() Ran {
	late := time.AfterFunc(patience, func() {
		fmt.Printf("       killed after %v: %s\n", patience, going.what)
		_ = going.command.Process.Kill()
	})
	defer late.Stop()
	err := going.command.Wait()
	status := going.command.ProcessState.ExitCode()
	if err != nil && status < 0 {
		going.stderr.WriteString(err.Error())
	}
	return Ran{going.what, status, going.stdout.String(), going.stderr.String(), <-going.peak}
}

func (kico *Kico) run(words ...string) Ran {
	return kico.begin(append([]string{kico.program}, words...)...).end()
}

// shell runs a command line as a person would type it.
func (kico *Kico) shell(line string) Ran {
	return kico.begin("bash", "-euo", "pipefail", "-c", line).end()
}
