package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// Process is a server that runs until it is stopped; if it ends by itself, so does the test, and says what it last wrote.
type Process struct {
	name    string
	command *exec.Cmd
	log     string
	ended   chan struct{}
	mutex   sync.Mutex
	stopped bool
}

var (
	running      []*Process
	runningMutex sync.Mutex
)

// start runs a program. What it writes goes to `NAME.log`; standard output goes to `output`, too, if there is one.
func start(name string, output io.Writer, environment []string, argv ...string) *Process {
	process := &Process{name: name, log: filepath.Join(scratch, name+".log"), ended: make(chan struct{})}
	log := must(os.OpenFile(process.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600))
	process.command = exec.Command(argv[0], argv[1:]...)
	process.command.Env = append(os.Environ(), environment...)
	process.command.Stdout, process.command.Stderr = log, log
	if output != nil {
		process.command.Stdout = io.MultiWriter(output, log)
	}
	try(process.command.Start())
	runningMutex.Lock()
	running = append(running, process)
	runningMutex.Unlock()
	go func() {
		err := process.command.Wait()
		log.Close()
		close(process.ended)
		process.mutex.Lock()
		stopped := process.stopped
		process.mutex.Unlock()
		if !stopped {
			give("%s ended by itself: %v; the end of %s:\n%s", name, err, process.log, tail(process.log))
		}
	}()
	return process
}

// stop ends a process, and waits until it is gone. What it wrote has then been read.
func (process *Process) stop(signal syscall.Signal) {
	process.mutex.Lock()
	process.stopped = true
	process.mutex.Unlock()
	_ = process.command.Process.Signal(signal)
	<-process.ended
}

func stopAll() {
	runningMutex.Lock()
	defer runningMutex.Unlock()
	for _, process := range running {
		process.mutex.Lock()
		process.stopped = true
		process.mutex.Unlock()
		_ = process.command.Process.Kill()
	}
}

func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
}

// Ran is what a program that ended left.
type Ran struct {
	what           string
	status         int
	stdout, stderr string
	peak           int // the most memory that it held at once, in KiB
}

func (ran Ran) String() string {
	return fmt.Sprintf("%s: exit status %d\n%s%s", ran.what, ran.status, ran.stdout, ran.stderr)
}

// expect is the complaint of a program that did not end as it should.
func (ran Ran) expect(status int) string {
	if ran.status == status {
		return ""
	}
	return ran.String()
}
