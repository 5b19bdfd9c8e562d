package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cri "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/core/install" // what options a log can be asked for with
)

// Kubelet answers what the API server asks the real one when somebody wants a pod's log, and nothing else. The log itself
// is read by the code that the real one uses (k8s.io/cri-client), with what that does about rotation and following.
type Kubelet struct {
	mutex      sync.Mutex
	containers map[string]*Container
}

const kubeletPort = 10250

// serve listens at a node's address. Only those whom the authority knows are let in.
func (kubelet *Kubelet) serve(authority *Authority, node string) {
	certificate, key := authority.issue("kubelet-"+node, "system:node:"+node, []string{"system:nodes"}, node)
	server := &http.Server{Addr: fmt.Sprintf("%s:%d", node, kubeletPort), Handler: kubelet, TLSConfig: authority.clientsOnly(),
		ErrorLog: log.New(io.Discard, "", 0)}
	go func() { give("the kubelet's stand-in: %v", server.ListenAndServeTLS(certificate, key)) }()
}

func (kubelet *Kubelet) add(container *Container) {
	kubelet.mutex.Lock()
	defer kubelet.mutex.Unlock()
	kubelet.containers["/containerLogs/"+container.pod.Namespace+"/"+container.pod.Name+"/"+container.pod.Spec.Containers[0].Name] = container
}

func (kubelet *Kubelet) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	kubelet.mutex.Lock()
	container := kubelet.containers[request.URL.Path]
	kubelet.mutex.Unlock()
	if container == nil {
		http.Error(answer, "pod or container does not exist", http.StatusNotFound)
		return
	}
	options, err := decode(request.URL.Query())
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	id, path, err := container.logOf(options.Previous)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	output := &flushed{answer: answer}
	_, _ = output.Write(nil)
	err = logs.ReadLogs(request.Context(), path, id, criOptions(options), &runtime{container: container}, output, output)
	if err != nil && request.Context().Err() == nil {
		// The status is long out: as the real one, the text of the error is all that can still be said.
		_, _ = io.WriteString(answer, err.Error())
	}
}

func decode(query url.Values) (*corev1.PodLogOptions, error) {
	options := &corev1.PodLogOptions{}
	return options, legacyscheme.ParameterCodec.DecodeParameters(query, corev1.SchemeGroupVersion, options)
}

func criOptions(options *corev1.PodLogOptions) *logs.LogOptions {
	read := &logs.LogOptions{TailLines: options.TailLines, LimitBytes: options.LimitBytes, Follow: options.Follow, Timestamp: options.Timestamps}
	if options.SinceSeconds != nil {
		read.Since = time.Now().Add(-time.Duration(*options.SinceSeconds) * time.Second)
	}
	if options.SinceTime != nil {
		read.Since = options.SinceTime.Time
	}
	return read
}

// logOf says which run's log is meant, by the rules of the kubelet (validateContainerLogStatus).
func (container *Container) logOf(previous bool) (id, path string, err error) {
	container.mutex.Lock()
	defer container.mutex.Unlock()
	id = container.status.ContainerID
	if previous {
		last := container.status.LastTerminationState.Terminated
		if last == nil {
			return "", "", fmt.Errorf("previous terminated container %q in pod %q not found", container.status.Name, container.pod.Name)
		}
		id = last.ContainerID
	}
	id = strings.TrimPrefix(id, "containerd://")
	return id, container.paths[id], nil
}

// runtime is as much of a container runtime as the reader of logs asks for: does the container still run?
type runtime struct {
	cri.RuntimeService
	container *Container
}

func (runtime *runtime) ContainerStatus(_ context.Context, id string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	runtime.container.mutex.Lock()
	defer runtime.container.mutex.Unlock()
	status := runtime.container.status
	state := runtimeapi.ContainerState_CONTAINER_EXITED
	if status.State.Running != nil && status.ContainerID == "containerd://"+id {
		state = runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{Id: id, State: state}}, nil
}

// flushed sends each write at once.
type flushed struct{ answer http.ResponseWriter }

func (output *flushed) Write(bytes []byte) (int, error) {
	n, err := output.answer.Write(bytes)
	output.answer.(http.Flusher).Flush()
	return n, err
}

// node makes a node whose kubelet is this one.
func (plane *ControlPlane) node(name, address, podCIDR string) {
	node := must(plane.client.CoreV1().Nodes().Create(context.Background(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}},
		Spec:       corev1.NodeSpec{PodCIDR: podCIDR, PodCIDRs: []string{podCIDR}},
	}, metav1.CreateOptions{}))
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = kubeletPort
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
	must(plane.client.CoreV1().Nodes().UpdateStatus(context.Background(), node, metav1.UpdateOptions{}))
}
