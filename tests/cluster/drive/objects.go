package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// No controller runs in the test's cluster: the driver makes what they would make, through the API, with the same owners
// and labels.

// Workload is a controller, and its pods.
type Workload struct {
	kind, namespace, name string
	labels                map[string]string
	pods                  []*corev1.Pod
}

// Shape is what a workload's pods have in common.
type Shape struct {
	port        int32 // of the container; named `main`
	hostNetwork bool
	subdomain   string
	image       string
	configMap   string            // mounted
	labels      map[string]string // default: app=NAME
}

var background = context.Background()

func (plane *ControlPlane) namespace(name string) {
	must(plane.client.CoreV1().Namespaces().Create(background, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}))
}

func owner(object metav1.Object, kind schema.GroupVersionKind) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(object, kind)}
}

func with(labels map[string]string, more ...string) map[string]string {
	labels = maps.Clone(labels)
	for at := 0; at < len(more); at += 2 {
		labels[more[at]] = more[at+1]
	}
	return labels
}

func (shape Shape) template(name string, labels map[string]string) corev1.PodTemplateSpec {
	image := shape.image
	if image == "" {
		image = "registry.example/" + name + ":1"
	}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: image}}, HostNetwork: shape.hostNetwork, Subdomain: shape.subdomain}
	if shape.port != 0 {
		spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "main", ContainerPort: shape.port, Protocol: corev1.ProtocolTCP}}
	}
	if shape.configMap != "" {
		spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: shape.configMap}}}}}
	}
	if shape.hostNetwork {
		spec.DNSPolicy = corev1.DNSClusterFirstWithHostNet
	}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}
}

func (shape Shape) label(name string) map[string]string {
	if shape.labels != nil {
		return shape.labels
	}
	return map[string]string{"app": name}
}

// deployment makes a Deployment, its ReplicaSet and, at each address, a pod.
func (plane *ControlPlane) deployment(namespace, name string, shape Shape, addresses ...string) *Workload {
	labels := shape.label(name)
	replicas := int32(len(addresses))
	deployment := must(plane.client.AppsV1().Deployments(namespace).Create(background, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: shape.template(name, labels)},
	}, metav1.CreateOptions{}))
	workload := &Workload{kind: "Deployment", namespace: namespace, name: name, labels: labels}
	plane.replicaSet(workload, deployment, "5d4f8c7b9", shape, addresses...)
	return workload
}

// replicaSet makes one more generation of a Deployment.
func (plane *ControlPlane) replicaSet(workload *Workload, deployment *appsv1.Deployment, hash string, shape Shape, addresses ...string) *appsv1.ReplicaSet {
	labels := with(workload.labels, "pod-template-hash", hash)
	replicas := int32(len(addresses))
	set := must(plane.client.AppsV1().ReplicaSets(workload.namespace).Create(background, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: workload.name + "-" + hash, Labels: labels,
			OwnerReferences: owner(deployment, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: shape.template(workload.name, labels)},
	}, metav1.CreateOptions{}))
	for at, address := range addresses {
		name := fmt.Sprintf("%s-%c%c%c%c%c", set.Name, 'b'+at, 'x', 'z', 'k', 'w')
		plane.pod(workload, name, shape, labels, address, owner(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet")))
	}
	return set
}

func (plane *ControlPlane) statefulSet(namespace, name string, shape Shape, addresses ...string) *Workload {
	labels := shape.label(name)
	shape.subdomain = name
	replicas := int32(len(addresses))
	set := must(plane.client.AppsV1().StatefulSets(namespace).Create(background, &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.StatefulSetSpec{Replicas: &replicas, ServiceName: name, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: shape.template(name, labels)},
	}, metav1.CreateOptions{}))
	workload := &Workload{kind: "StatefulSet", namespace: namespace, name: name, labels: labels}
	for at, address := range addresses {
		pod := fmt.Sprintf("%s-%d", name, at)
		plane.pod(workload, pod, shape, with(labels, "statefulset.kubernetes.io/pod-name", pod), address,
			owner(set, appsv1.SchemeGroupVersion.WithKind("StatefulSet")))
	}
	return workload
}

func (plane *ControlPlane) daemonSet(namespace, name string, shape Shape, addresses ...string) *Workload {
	labels := shape.label(name)
	set := must(plane.client.AppsV1().DaemonSets(namespace).Create(background, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: shape.template(name, labels)},
	}, metav1.CreateOptions{}))
	workload := &Workload{kind: "DaemonSet", namespace: namespace, name: name, labels: labels}
	for at, address := range addresses {
		plane.pod(workload, fmt.Sprintf("%s-%c%c%c%c%c", name, 'b'+at, 'q', 'r', 't', 'v'), shape, labels, address,
			owner(set, appsv1.SchemeGroupVersion.WithKind("DaemonSet")))
	}
	return workload
}

// cronJob makes a CronJob, the Job of its latest run, and that Job's pod.
func (plane *ControlPlane) cronJob(namespace, name string, address string) *Workload {
	labels := map[string]string{"app": name}
	template := Shape{}.template(name, labels)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	cron := must(plane.client.BatchV1().CronJobs(namespace).Create(background, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.CronJobSpec{Schedule: "*/5 * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}},
	}, metav1.CreateOptions{}))
	job := must(plane.client.BatchV1().Jobs(namespace).Create(background, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, time.Now().Unix()/60),
			OwnerReferences: owner(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		Spec: batchv1.JobSpec{Template: template},
	}, metav1.CreateOptions{}))
	workload := &Workload{kind: "CronJob", namespace: namespace, name: name, labels: labels}
	plane.pod(workload, job.Name+"-hvq2m", Shape{}, job.Spec.Template.Labels, address, owner(job, batchv1.SchemeGroupVersion.WithKind("Job")))
	return workload
}

// bare makes a pod that nobody owns.
func (plane *ControlPlane) bare(namespace, name, address string) *Workload {
	workload := &Workload{kind: "Pod", namespace: namespace, name: name, labels: map[string]string{"run": name}}
	plane.pod(workload, name, Shape{}, workload.labels, address, nil)
	return workload
}

// pod makes a running pod at an address: a node's if it is on the host's network.
func (plane *ControlPlane) pod(workload *Workload, name string, shape Shape, labels map[string]string, address string, owners []metav1.OwnerReference) *corev1.Pod {
	template := shape.template(workload.name, labels)
	template.Spec.NodeName = nodeOf(address)
	if shape.subdomain != "" {
		template.Spec.Hostname = name
	}
	if workload.kind == "CronJob" {
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	pod := must(plane.client.CoreV1().Pods(workload.namespace).Create(background, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, OwnerReferences: owners}, Spec: template.Spec,
	}, metav1.CreateOptions{}))
	now := metav1.Now()
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}, StartTime: &now,
		HostIP: nodeAddress[pod.Spec.NodeName], Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue, LastTransitionTime: now}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: workload.name, Image: template.Spec.Containers[0].Image, Ready: true,
			ContainerID: "containerd://" + name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}}}}
	pod = plane.updateStatus(pod)
	workload.pods = append(workload.pods, pod)
	return pod
}

func (plane *ControlPlane) updateStatus(pod *corev1.Pod) *corev1.Pod {
	return must(plane.client.CoreV1().Pods(pod.Namespace).UpdateStatus(background, pod, metav1.UpdateOptions{}))
}

// finish is a pod's orderly end. Its address may be given to another one.
func (plane *ControlPlane) finish(pod *corev1.Pod) {
	now := metav1.Now()
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses[0].Ready = false
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Reason: "Completed", StartedAt: *pod.Status.StartTime, FinishedAt: now, ContainerID: pod.Status.ContainerStatuses[0].ContainerID}}
	plane.updateStatus(pod)
}

// nodeAddress is where each node is; pods at 10.42.N.x are on the Nth.
var nodeAddress = map[string]string{"node-a": "192.168.7.11", "node-b": "192.168.7.12"}

func nodeOf(address string) string {
	if strings.HasPrefix(address, "10.42.2.") || address == nodeAddress["node-b"] {
		return "node-b"
	}
	return "node-a"
}

// Service is a Service of one port, and what the truth says of it.
type Service struct {
	namespace, name string
	port            int32
	workloads       []*Workload
}

// service makes a Service before a workload, with the EndpointSlice and (old CoreDNS reads those) the Endpoints of its pods.
func (plane *ControlPlane) service(name string, port int32, workload *Workload, headless bool) *Service {
	namespace, target := workload.namespace, workload.pods[0].Spec.Containers[0].Ports[0].ContainerPort
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{Selector: workload.labels, Ports: []corev1.ServicePort{{Name: "http", Port: port, TargetPort: intstr.FromString("main")}}}}
	if headless {
		service.Spec.ClusterIP = corev1.ClusterIPNone
	}
	service = must(plane.client.CoreV1().Services(namespace).Create(background, service, metav1.CreateOptions{}))
	ports := []corev1.EndpointPort{{Name: "http", Port: target, Protocol: corev1.ProtocolTCP}}
	plane.endpoints(service, workload, ports)
	return &Service{namespace: namespace, name: name, port: target, workloads: []*Workload{workload}}
}

func (plane *ControlPlane) endpoints(service *corev1.Service, workload *Workload, ports []corev1.EndpointPort) {
	yes := true
	slice := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, ObjectMeta: metav1.ObjectMeta{Name: service.Name + "-x7k2p",
		Labels:          map[string]string{discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		OwnerReferences: owner(service, corev1.SchemeGroupVersion.WithKind("Service"))}}
	old := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: service.Name}, Subsets: []corev1.EndpointSubset{{Ports: ports}}}
	for _, port := range ports {
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &port.Name, Port: &port.Port, Protocol: &port.Protocol})
	}
	for _, pod := range workload.pods {
		target := &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
		endpoint := discoveryv1.Endpoint{Addresses: []string{pod.Status.PodIP}, TargetRef: target, NodeName: &pod.Spec.NodeName,
			Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes}}
		address := corev1.EndpointAddress{IP: pod.Status.PodIP, TargetRef: target, NodeName: &pod.Spec.NodeName, Hostname: pod.Spec.Hostname}
		if pod.Spec.Hostname != "" {
			endpoint.Hostname = &pod.Spec.Hostname
		}
		slice.Endpoints = append(slice.Endpoints, endpoint)
		old.Subsets[0].Addresses = append(old.Subsets[0].Addresses, address)
	}
	must(plane.client.DiscoveryV1().EndpointSlices(service.Namespace).Create(background, slice, metav1.CreateOptions{}))
	must(plane.client.CoreV1().Endpoints(service.Namespace).Create(background, old, metav1.CreateOptions{}))
}
