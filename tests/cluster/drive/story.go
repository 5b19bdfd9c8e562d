package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Story is a cluster, what happened in it, and the program that is to find out.
type Story struct {
	plane *ControlPlane
	dns   *DNS
	truth *Truth
	kico  *Kico

	web, cart, db, mail, lonely, prom, agent, report, debug *Workload
	toWeb, toCart, toDB, toLonely                           *Service
}

func newStory(kico *Kico) *Story {
	step("etcd and kube-apiserver")
	plane := newControlPlane()
	story := &Story{plane: plane, truth: newTruth(), kico: kico}

	step("nodes, namespaces, workloads, Services, CoreDNS of two generations")
	kubelet := &Kubelet{containers: map[string]*Container{}}
	for name, address := range nodeAddress {
		kubelet.serve(plane.authority, address)
		plane.node(name, address, map[string]string{"node-a": "10.42.1.0/24", "node-b": "10.42.2.0/24"}[name])
	}
	plane.namespace("shop")
	plane.namespace("obs")
	plane.namespace("jobs")
	story.web = plane.deployment("shop", "web", Shape{port: 8080}, "10.42.1.11", "10.42.2.11")
	story.cart = plane.deployment("shop", "cart", Shape{port: 8081}, "10.42.1.12")
	story.db = plane.statefulSet("shop", "db", Shape{port: 5432}, "10.42.1.13", "10.42.2.13")
	story.lonely = plane.deployment("shop", "lonely", Shape{port: 8082}, "10.42.2.14")
	story.prom = plane.deployment("obs", "prom", Shape{}, "10.42.2.15")
	story.agent = plane.daemonSet("obs", "agent", Shape{hostNetwork: true}, nodeAddress["node-a"])
	story.debug = plane.bare("shop", "debug", "10.42.1.16")
	story.report = plane.cronJob("jobs", "report", "10.42.1.50")
	story.toWeb = plane.service("web", 80, story.web, false)
	story.toCart = plane.service("cart", 80, story.cart, false)
	story.toDB = plane.service("db", 5432, story.db, true)
	story.toLonely = plane.service("lonely", 80, story.lonely, false)
	story.dns = newDNS(plane, kubelet)
	story.dns.runAll()

	// kico is a ServiceAccount with the Role of the repository, and nothing else.
	admin := plane.kubeconfig("admin", &api.AuthInfo{ClientCertificate: plane.config.CertFile, ClientKey: plane.config.KeyFile})
	applied := (&Kico{kubeconfig: admin}).shell("kubectl apply -f " + filepath.Join(root, "deploy/fetch-role.yaml"))
	if applied.status != 0 {
		give("%v", applied)
	}
	day := int64(24 * 3600)
	token := must(plane.client.CoreV1().ServiceAccounts("kico").CreateToken(background, "kico",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day}}, metav1.CreateOptions{}))
	kico.kubeconfig = plane.kubeconfig("kico", &api.AuthInfo{Token: token.Status.Token})
	try(os.MkdirAll(filepath.Join(scratch, "bin"), 0o755))
	try(os.Symlink(kico.program, filepath.Join(scratch, "bin", "kico")))
	try(os.Symlink(kico.program, filepath.Join(scratch, "bin", "kubectl-kico")))
	return story
}

// reach looks a name up from a pod, and writes down that it meant this server.
func (story *Story) reach(workload *Workload, pod int, name string, server Server) {
	from := time.Now()
	lookups := story.dns.resolve(workload.pods[pod], name)
	story.truth.reached(workload, workload.pods[pod], server, lookups, from, time.Now())
}

// lose looks a name up in vain; the report must call it `shown`.
func (story *Story) lose(workload *Workload, name, shown string) {
	story.truth.lost(workload, workload.pods[0], shown, story.dns.resolve(workload.pods[0], name))
}

// day is what happens before anybody looks: every kind of name, and an address that changes hands.
func (story *Story) day() {
	step("lookups from the pods, search path included")
	story.reach(story.report, 0, "cart.shop", story.toCart.server())
	story.reach(story.report, 0, "cart.shop", story.toCart.server())
	finished := time.Now()
	story.plane.finish(story.report.pods[0])

	for range 3 {
		story.reach(story.web, 0, "cart", story.toCart.server())
		story.reach(story.web, 1, "cart", story.toCart.server())
		story.reach(story.web, 1, "api.partner.example", external("api.partner.example"))
	}
	story.reach(story.cart, 0, "db", story.toDB.server())
	story.reach(story.cart, 0, "db-0.db", story.toDB.endpoint())
	story.reach(story.db, 1, "db-0.db.shop.svc.cluster.local", story.toDB.endpoint())
	story.reach(story.prom, 0, "web.shop", story.toWeb.server())
	story.reach(story.debug, 0, "web", story.toWeb.server())
	story.reach(story.agent, 0, "web.shop.svc.cluster.local.", story.toWeb.server())
	from := time.Now()
	srv := story.dns.askOnce(story.prom.pods[0], "_http._tcp.web.shop.svc.cluster.local.", dns.TypeSRV)
	story.truth.reached(story.prom, story.prom.pods[0], story.toWeb.server(), []Lookup{srv}, from, time.Now())
	story.lose(story.debug, "nosuch", "nosuch.shop.svc.cluster.local")
	story.lose(story.debug, "nosuch.jobs", "nosuch.jobs.svc.cluster.local")
	story.lose(story.debug, "gone.example.org", "gone.example.org")

	// An address is the next pod's only after the last one is surely gone: clocks may differ by 5 s on either side.
	time.Sleep(time.Until(finished.Add(11 * time.Second)))
	story.mail = story.plane.deployment("shop", "mail", Shape{}, "10.42.1.50")
	story.reach(story.mail, 0, "db", story.toDB.server())
	story.dns.settle()
}

// analysed checks what `kico analyze` makes of a capture against the truth.
func (story *Story) analysed(what, directory string, words ...string) {
	ran := story.kico.run(append(words, "-q", "-o", "csv="+directory+"/out.csv", "-o", "json="+directory+"/out.json")...)
	check(what+": kico analyze ends well", ran.expect(0))
	check(what+": its CSV is the truth, row by row", story.truth.compareCSV(filepath.Join(scratch, directory, "out.csv")))
	check(what+": its JSON counts every lookup, failure and attempt of the search path", story.truth.compareJSON(filepath.Join(scratch, directory, "out.json")))
}

// byHand takes the logs and the snapshot as the README says, with kubectl alone.
func (story *Story) byHand() {
	step("with kubectl alone, as the README says")
	readme := string(must(os.ReadFile(filepath.Join(root, "README.md"))))
	_, after, found := strings.Cut(readme, "With kubectl alone:\n\n```sh\n")
	commands, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		give("README.md no longer says `With kubectl alone:`")
	}
	try(os.Mkdir(filepath.Join(scratch, "hand"), 0o700))
	ran := (&Kico{kubeconfig: filepath.Join(scratch, "admin.kubeconfig")}).shell("cd hand\n" + commands)
	check("the README's kubectl commands end well", ran.expect(0))
	ran = story.kico.shell("cd hand && kico analyze -q logs/*.txt --snapshot pods.json --snapshot corefile.json -o csv=out.csv -o json=out.json")
	check("by hand: kico analyze ends well", ran.expect(0))
	check("by hand: its CSV is the truth, row by row", story.truth.compareCSV(filepath.Join(scratch, "hand", "out.csv")))
	check("by hand: its JSON counts every lookup, failure and attempt of the search path", story.truth.compareJSON(filepath.Join(scratch, "hand", "out.json")))
}

// fetched takes them with kico.
func (story *Story) fetched() {
	step("kico fetch")
	ran := story.kico.run("fetch", "capture")
	check("kico fetch ends well, nothing missing", ran.expect(0))
	for name, mode := range map[string]os.FileMode{"capture/logs": 0o700, "capture/pods.json": 0o600} {
		info, err := os.Stat(filepath.Join(scratch, name))
		if err != nil {
			check(name+" is there", err.Error())
			continue
		}
		check(name+" is its owner's alone", equal("mode", info.Mode().Perm(), mode))
	}
	var want []string
	for _, replica := range story.dns.all {
		want = append(want, filepath.Join(scratch, "capture/logs", replica.pod.Name+".txt"))
	}
	check("a log for each replica", sameLines(must(filepath.Glob(filepath.Join(scratch, "capture/logs/*"))), want))
	check("kubectl reads pods.json", story.kico.shell("kubectl label --local -f capture/pods.json -o name x=y >/dev/null").expect(0))
	logs := must(filepath.Glob(filepath.Join(scratch, "capture/logs/*.txt")))
	story.analysed("capture", "capture", append(append([]string{"analyze"}, logs...), "--snapshot", "capture/pods.json")...)
	story.analysed("capture, by its directory", "capture", "analyze", "capture")
}

// policies are judged by the API server, by the truth, and by kico verify.
func (story *Story) policies() {
	step("policies")
	ran := story.kico.run("analyze", "-q", "capture", "-o", "netpol=policies/")
	check("kico writes policies", ran.expect(0))
	complete, err := policiesIn(filepath.Join(scratch, "policies"))
	check("they are NetworkPolicies, strictly read", complain(err))
	check("the API server accepts them", story.plane.accepted(complete))
	all := func(*Workload) bool { return true }
	check("they allow who asked, and nobody else", story.truth.comparePolicies(complete, all))
	incomplete, err := policiesIn(filepath.Join(scratch, "policies/incomplete"))
	check("the one for web, which a node asked for, is incomplete", complain(err),
		story.truth.comparePolicies(incomplete, func(workload *Workload) bool { return workload == story.web }))
	ran = story.kico.shell("kubectl --kubeconfig admin.kubeconfig apply --dry-run=server -k policies")
	check("kubectl apply --dry-run=server -k accepts the directory", ran.expect(0))
	ran = story.kico.run("verify", "capture", "--policies", "policies/")
	check("kico verify: they deny nothing that a pod did", ran.expect(0))
	wrong := `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: wrong, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: wbe}}}]}]
`
	try(os.WriteFile(filepath.Join(scratch, "wrong.yaml"), []byte(wrong), 0o600))
	ran = story.kico.run("verify", "capture", "--policies", "wrong.yaml")
	complaint := ran.expect(1)
	for _, line := range []string{"jobs/report (CronJob) -> shop/cart", "shop/web -> shop/cart"} {
		if !strings.Contains(ran.stdout, line) {
			complaint += "\nnot denied: " + line + "\n" + ran.String()
		}
	}
	check("kico verify: a policy with a wrong label denies exactly its victims", complaint)
}

func complain(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// oneLiner asks who connects to a pod.
func (story *Story) oneLiner() {
	step("kico POD")
	pod := story.cart.pods[0].Name
	is := func(workload *Workload) func(*Workload) bool {
		return func(other *Workload) bool { return other == workload }
	}
	before := must(filepath.Glob(filepath.Join(scratch, "*")))
	for _, line := range []string{"kico " + pod + " -n shop -s", "kubectl kico " + pod + " -n shop -s"} {
		ran := story.kico.shell(line)
		policies, err := decodePolicies(ran.stdout)
		check(line+" ends well", ran.expect(0))
		check(line+" shows who asked", clients(ran.stdout, "shop/cart", "jobs/report (CronJob)", "shop/web"))
		check(line+" writes the policy, and the API server accepts it", complain(err), story.plane.accepted(policies),
			story.truth.comparePolicies(policies, is(story.cart)))
	}
	check("nothing is left on disk", sameLines(must(filepath.Glob(filepath.Join(scratch, "*"))), before))

	lonely := story.lonely.pods[0].Name
	from := time.Now()
	ran := story.kico.run(lonely, "-n", "shop", "-w", "3s")
	waited := time.Since(from)
	check("a pod that nobody asks for: it waits, says so, and ends well", ran.expect(0))
	if waited < 3*time.Second || waited > 15*time.Second {
		check("it waits 3 s", waited.String())
	}
	length := story.plane.audited()
	going := story.kico.begin(story.kico.program, lonely, "-n", "shop", "-s", "-w", "60s")
	eventually("the one-liner follows", 30*time.Second, func() bool { return story.following(length) >= len(story.dns.all) })
	story.reach(story.cart, 0, "lonely", story.toLonely.server())
	from = time.Now()
	ran = going.end()
	policies, err := decodePolicies(ran.stdout)
	check("the first lookup while it waits ends the wait", ran.expect(0), clients(ran.stdout, "shop/lonely", "shop/cart"), complain(err),
		story.truth.comparePolicies(policies, is(story.lonely)))
	if took := time.Since(from); took > 10*time.Second {
		check("it sees the lookup at once", took.String())
	}
}

// clients is what is wrong with the table's rows.
func clients(stdout, server string, want ...string) string {
	var got []string
	for _, line := range strings.Split(stdout, "\n") {
		row := strings.TrimPrefix(line, "# ")
		if client, _, found := strings.Cut(row, "   "+server+"   "); found && row != line {
			got = append(got, strings.TrimSpace(client))
		}
	}
	complaint := sameLines(got, want)
	if complaint != "" {
		complaint += stdout
	}
	return complaint
}

// following counts the logs that kico began to follow since the audit log was this long.
func (story *Story) following(from int) int {
	pods := map[string]bool{}
	for _, asked := range story.plane.requests(from) {
		if asked.ObjectRef != nil && asked.ObjectRef.Subresource == "log" && asked.Stage == "ResponseStarted" && strings.Contains(asked.RequestURI, "follow=true") {
			pods[asked.ObjectRef.Name] = true
		}
	}
	return len(pods)
}

// followed follows the logs while lookups go on all the time, over two rotations, a crash and a new replica.
func (story *Story) followed() {
	step("kico fetch --for, over rotations, a restart and a new replica")
	const window = 30 * time.Second
	length, began := story.plane.audited(), time.Now()
	going := story.kico.begin(story.kico.program, "fetch", "followed", "--for", window.String())
	eventually("kico follows both logs", 20*time.Second, func() bool { return story.following(length) == 2 })
	stop, stopped := make(chan bool), make(chan int)
	go story.chatter(stop, stopped)
	pause := func() { time.Sleep(1500 * time.Millisecond) }
	pause()
	story.dns.all[0].rotate()
	pause()
	story.dns.crash(story.dns.all[0])
	pause()
	story.dns.grow("10.42.2.3")
	story.reach(story.prom, 0, "lonely.shop", story.toLonely.server())
	pause()
	story.dns.all[1].rotate()
	story.dns.all[2].rotate()
	pause()
	close(stop)
	count := <-stopped
	if late := time.Since(began); late > window-4*time.Second {
		give("the events took %v of a window of %v", late, window)
	}
	ran := going.end()
	story.dns.settle()
	check("kico fetch --for ends well, no gap", ran.expect(0))
	logs := ""
	for _, path := range must(filepath.Glob(filepath.Join(scratch, "followed/logs/*"))) {
		logs += string(must(os.ReadFile(path)))
	}
	check(fmt.Sprintf("of %d lookups meanwhile no line is lost, and none is there twice", count), eachOnce(logs, count))
	story.analysed("followed", "followed", "analyze", "followed")
}

// ended ends `--for` with Ctrl-C, and takes what a crashed container left.
func (story *Story) ended() {
	step("Ctrl-C, and the log of before a restart")
	length := story.plane.audited()
	going := story.kico.begin(story.kico.program, "fetch", "ended", "--for", "10m")
	eventually("kico follows the logs", 20*time.Second, func() bool { return story.following(length) == len(story.dns.all) })
	for range story.dns.all {
		story.reach(story.mail, 0, "last.example.net.", external("last.example.net"))
	}
	story.dns.settle()
	time.Sleep(time.Second)
	try(going.command.Process.Signal(os.Interrupt))
	check("Ctrl-C ends kico fetch --for with 130", going.end().expect(130))
	ran := story.kico.run("analyze", "ended", "-q", "--from", "shop/mail", "-o", "csv=ended/out.csv")
	check("the capture is whole, to the last line", ran.expect(0))
	mail := &Truth{connections: map[[2]Party]*Connection{}}
	for key, connection := range story.truth.connections {
		if key[0].name == "mail" && key[1].kind == "External" {
			mail.connections[key] = connection
		}
	}
	check("its CSV is the truth of who asked last", mail.compareCSV(filepath.Join(scratch, "ended/out.csv")))

	check("kico fetch --previous ends well", story.kico.run("fetch", "previous", "--previous").expect(0))
	crashed := story.dns.all[0]
	previous, err := os.ReadFile(filepath.Join(scratch, "previous/logs", crashed.pod.Name+".previous.txt"))
	current, _ := os.ReadFile(filepath.Join(scratch, "previous/logs", crashed.pod.Name+".txt"))
	kept := must(os.ReadFile(filepath.Join(crashed.folder, "0.log")))
	check("the log of before the restart is what the node keeps of it", complain(err),
		equal("lines", bytes.Count(previous, []byte("\n")), bytes.Count(kept, []byte("\n"))))
	lines := strings.Split(strings.TrimSpace(string(previous)), "\n")
	check("and is not in the other one", equal("the later log begins later", lines[len(lines)-1] < string(current), true),
		equal("starts of CoreDNS", bytes.Count(current, []byte("CoreDNS-")), 1))
}

// crowd is a cluster of 20,000 pods.
func (story *Story) crowd() {
	step("20,000 pods")
	workloads, count := story.plane.bulk()
	length, since := story.plane.audited(), time.Now()
	truth := story.truth
	story.truth = newTruth()
	for _, workload := range workloads {
		story.reach(workload, 7, "web.shop", story.toWeb.server())
		story.reach(workload, len(workload.pods)-1, "web.shop", story.toWeb.server())
	}
	story.dns.settle()
	step("kico fetch of %d pods", count)
	from := time.Now()
	ran := story.kico.run("fetch", "crowd")
	check("kico fetch ends well, nothing missing", ran.expect(0))
	fmt.Printf("       it took %.1f s, and held %d MiB at most\n", time.Since(from).Seconds(), ran.peak/1024)
	complaint := ""
	if ran.peak > mostMemory*1024 {
		complaint = fmt.Sprintf("it held %d KiB", ran.peak)
	}
	check(fmt.Sprintf("it holds no more than %d MiB", mostMemory), complaint)
	check("it asks for pages of 500", comparePages(story.plane.requests(length), count))
	content, _ := os.ReadFile(filepath.Join(scratch, "crowd/pods.json"))
	var list struct{ Items []metav1.TypeMeta }
	err := json.Unmarshal(content, &list)
	listed := 0
	for _, item := range list.Items {
		if item.Kind == "Pod" {
			listed++
		}
	}
	check("pods.json holds every pod, and no environment", complain(err), equal("pods", listed, count),
		equal("environments", bytes.Count(content, []byte("SETTING_")), 0))
	ran = story.kico.run("analyze", "-q", "crowd", "--since", since.UTC().Format(time.RFC3339Nano), "-o", "csv=crowd/out.csv")
	check("kico analyze of it ends well", ran.expect(0))
	check("its CSV is the truth of that time", story.truth.compareCSV(filepath.Join(scratch, "crowd/out.csv")))
	story.truth = truth
}

// mostMemory is what kico may hold at once for so many pods, in MiB. As the API server gives them, they are some 250 MB of JSON.
const mostMemory = 160

// chatter asks for one name after the other, each once, until it is stopped; it tells how many.
func (story *Story) chatter(stop chan bool, stopped chan int) {
	for count := 1; ; count++ {
		name, from := chatName(count), time.Now()
		lookup := story.dns.askOnce(story.web.pods[0], name, dns.TypeA)
		story.truth.reached(story.web, story.web.pods[0], external(strings.TrimSuffix(name, ".")), []Lookup{lookup}, from, time.Now())
		select {
		case <-stop:
			stopped <- count
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func chatName(count int) string { return fmt.Sprintf("n%05d.example.net.", count) }

// eachOnce is what is wrong with the lines of the chatter.
func eachOnce(logs string, count int) string {
	var wrong strings.Builder
	for at := 1; at <= count; at++ {
		if times := strings.Count(logs, " "+chatName(at)+" "); times != 1 {
			fmt.Fprintf(&wrong, "%s is there %d times\n", chatName(at), times)
		}
	}
	return wrong.String()
}
