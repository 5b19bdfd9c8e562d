package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	bulkWorkloads = 40
	bulkEach      = 500
)

// bulk fills the cluster with 20,000 running pods, each as large as real ones are (environment, volumes, conditions: some 12 KB as JSON).
// They go straight into etcd, as the API server stores them; their owners go through the API. How many pods there are then, is counted in etcd, too.
func (plane *ControlPlane) bulk() ([]*Workload, int) {
	plane.namespace("bulk")
	etcd := must(clientv3.New(clientv3.Config{Endpoints: []string{etcdAddress}, DialTimeout: 10 * time.Second}))
	defer etcd.Close()
	var workloads []*Workload
	var group sync.WaitGroup
	for at := range bulkWorkloads {
		workload := plane.deployment("bulk", fmt.Sprintf("fill-%02d", at), Shape{port: 8080})
		set := must(plane.client.AppsV1().ReplicaSets("bulk").Get(background, workload.name+"-5d4f8c7b9", metav1.GetOptions{}))
		for each := range bulkEach {
			workload.pods = append(workload.pods, bulkPod(workload, set, at*bulkEach+each, each))
		}
		workloads = append(workloads, workload)
		group.Go(func() { store(etcd, workload.pods) })
	}
	group.Wait()
	pods := must(etcd.Get(background, "/registry/pods/", clientv3.WithPrefix(), clientv3.WithCountOnly()))
	return workloads, int(pods.Count)
}

func bulkPod(workload *Workload, set *appsv1.ReplicaSet, number, each int) *corev1.Pod {
	address := fmt.Sprintf("10.42.%d.%d", 64+number/250, 1+number%250)
	labels := with(workload.labels, "pod-template-hash", "5d4f8c7b9")
	template := Shape{port: 8080}.template(workload.name, labels)
	now := metav1.NewTime(time.Now().Add(-time.Hour))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%05x", set.Name, each), Namespace: "bulk", UID: uuid.NewUUID(), Generation: 1,
		CreationTimestamp: now, Labels: labels, OwnerReferences: owner(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}, Spec: template.Spec}
	pod.Spec.NodeName = "node-a"
	for at := range 100 {
		pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%02d", at), Value: strings.Repeat("x", 80)})
	}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}, HostIP: nodeAddress["node-a"], StartTime: &now,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue, LastTransitionTime: now}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: workload.name, Image: template.Spec.Containers[0].Image, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}}}}
	return pod
}

// store writes pods in the API server's own encoding, fifty at a time.
func store(etcd *clientv3.Client, pods []*corev1.Pod) {
	encoder := scheme.Codecs.EncoderForVersion(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), corev1.SchemeGroupVersion)
	for len(pods) > 0 {
		some := pods[:min(50, len(pods))]
		pods = pods[len(some):]
		var puts []clientv3.Op
		for _, pod := range some {
			var value bytes.Buffer
			try(encoder.Encode(pod, &value))
			puts = append(puts, clientv3.OpPut("/registry/pods/"+pod.Namespace+"/"+pod.Name, value.String()))
		}
		must(etcd.Txn(background).Then(puts...).Commit())
	}
}
