package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Container is a real CoreDNS process whose standard output goes where a container runtime puts it: into
// `RESTARTS.log`, one line `TIME stdout F TEXT` each (the CRI's format), which the kubelet may rename at any time.
type Container struct {
	plane   *ControlPlane
	pod     *corev1.Pod
	program string
	config  []string // environment
	folder  string

	mutex    sync.Mutex
	restarts int
	file     *os.File
	process  *Process
	read     chan struct{} // closed when all that the process wrote is in the file
	paths    map[string]string
	status   corev1.ContainerStatus
	asked    atomic.Int64 // lookups that it answered: as many lines must be in its log
}

// runContainer starts the pod's only container, and says so in the pod's status.
func runContainer(plane *ControlPlane, pod *corev1.Pod, program string, environment ...string) *Container {
	container := &Container{plane: plane, pod: pod, program: program, config: environment, paths: map[string]string{},
		folder: filepath.Join(scratch, "pods", pod.Namespace+"_"+pod.Name+"_"+string(pod.UID), pod.Spec.Containers[0].Name)}
	try(os.MkdirAll(container.folder, 0o755))
	container.launch()
	return container
}

func (container *Container) launch() {
	container.mutex.Lock()
	id := fmt.Sprintf("%s-%d", container.pod.Name, container.restarts)
	path := filepath.Join(container.folder, fmt.Sprintf("%d.log", container.restarts))
	container.paths[id] = path
	container.file = must(os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	output, input := io.Pipe()
	container.read = make(chan struct{})
	go container.collect(output, container.read)
	container.process = start(container.pod.Name, input, container.config, container.program,
		"-conf", filepath.Join(scratch, "Corefile"))
	process := container.process
	go func() { <-process.ended; input.Close() }()
	container.status = corev1.ContainerStatus{
		Name: container.pod.Spec.Containers[0].Name, Image: container.pod.Spec.Containers[0].Image, Ready: true,
		ContainerID: "containerd://" + id, RestartCount: int32(container.restarts), LastTerminationState: container.status.LastTerminationState,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
	}
	container.mutex.Unlock()
	container.report()
	ready(container.pod.Status.PodIP)
}

func (container *Container) collect(output io.Reader, done chan struct{}) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		container.mutex.Lock()
		_, err := fmt.Fprintf(container.file, "%s stdout F %s\n", time.Now().UTC().Format(time.RFC3339Nano), lines.Bytes())
		container.mutex.Unlock()
		try(err)
	}
	close(done)
}

// rotate does what the kubelet does to a full log: it renames the file, and has the runtime open a new one.
func (container *Container) rotate() {
	path := filepath.Join(container.folder, fmt.Sprintf("%d.log", container.restarts))
	try(os.Rename(path, path+time.Now().UTC().Format(".20060102-150405.000000000")))
	container.mutex.Lock()
	defer container.mutex.Unlock()
	container.file.Close()
	container.file = must(os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
}

// crash kills the process, and starts it again a moment later, as the kubelet would.
func (container *Container) crash() {
	container.process.stop(syscall.SIGKILL)
	<-container.read
	container.mutex.Lock()
	container.status.Ready = false
	container.status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error",
		ContainerID: container.status.ContainerID, StartedAt: container.status.State.Running.StartedAt, FinishedAt: metav1.Now()}}
	container.mutex.Unlock()
	container.report()
	time.Sleep(500 * time.Millisecond)
	container.mutex.Lock()
	container.status.LastTerminationState = container.status.State
	container.file.Close()
	container.restarts++
	container.mutex.Unlock()
	container.launch()
}

// report writes what became of the container into the pod's status.
func (container *Container) report() {
	container.mutex.Lock()
	status := container.status
	container.mutex.Unlock()
	container.pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
	container.pod = container.plane.updateStatus(container.pod)
}

// written is how many query lines its files hold, rotated ones included.
func (container *Container) written() (lines int) {
	for _, path := range must(filepath.Glob(filepath.Join(container.folder, "*"))) {
		lines += bytes.Count(must(os.ReadFile(path)), []byte(` IN `))
	}
	return lines
}
