use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::sample::{cluster, config, list, object, pod, yaml_list};
use crate::cluster::model::*;

mod entrances;
mod flow;
mod kinds;
mod refused;
mod several;

/// Writes the files, gives each to a `--snapshot` of its own, and takes their directory out of what is said.
fn try_read(files: &[(&str, &[u8])]) -> Result<Snapshot, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, bytes) in files {
        std::fs::write(path(name), bytes).unwrap();
    }
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| path(name)).collect();
    let prefix = format!("{}/", directory.path().display());
    let mut snapshot = super::read(&paths, &["dns".to_owned()])
        .map_err(|error| error.to_string().replace(&prefix, ""))?;
    let said = [&mut snapshot.broken, &mut snapshot.ignored, &mut snapshot.undecided];
    for text in said.into_iter().flatten() {
        *text = text.replace(&prefix, "");
    }
    for moment in &mut snapshot.moments {
        moment.path = moment.path.replace(&prefix, "");
    }
    Ok(snapshot)
}

#[track_caller]
fn read(text: &str) -> Snapshot {
    try_read(&[("pods.json", text.as_bytes())]).unwrap()
}

#[track_caller]
fn read_all(files: &[(&str, &str)]) -> Snapshot {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    try_read(&files).unwrap()
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.pods.iter().map(|pod| pod.meta.name.as_str()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn pods() -> [Value; 3] {
    [pod("a", "web", "10.0.0.1"), pod("a", "db", "10.0.0.2"), pod("b", "web", "10.0.0.3")]
}

#[test]
fn no_snapshot_is_no_snapshot() {
    assert!(!Snapshot::default().given);
    assert!(!super::read(&[], &[]).unwrap().given);
}

#[test]
fn the_same_pods_come_out_of_every_wrapping() {
    let pods = pods();
    let json = list(&pods);
    let expected = read(&json).pods;
    assert_eq!(expected.len(), 3);

    let without_kind: Vec<Value> = pods.iter().cloned().map(bare).collect();
    let raw = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": without_kind});
    let items_first = format!(
        r#"{{"apiVersion": "v1", "items": {}, "kind": "PodList"}}"#,
        Value::from(without_kind.clone())
    );
    let one_by_one =
        |between: &str| pods.iter().map(|pod| format!("{pod:#}")).collect::<Vec<_>>().join(between);
    let lines: String = pods.iter().map(|pod| format!("{pod}\n")).collect();
    let lists: String = pods.iter().map(|pod| list(std::slice::from_ref(pod))).collect();
    let array_of_lists = format!("[{}, {}]", list(&pods[..1]), list(&pods[1..]));
    let yaml = yaml_list(&pods);
    let documents: String =
        pods.iter().map(|pod| format!("---\n{}", serde_yaml::to_string(pod).unwrap())).collect();
    let indent = |line: &str| {
        let by = if line.starts_with(['-', ' ']) { "  " } else { "" };
        format!("{by}{line}\n")
    };
    let indented: String = yaml.lines().map(indent).collect();
    let two_lists = format!("{}---\n{}...\n", yaml_list(&pods[..2]), yaml_list(&pods[2..]));

    let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    zstd.write_all(json.as_bytes()).unwrap();
    let members = [gzip(&json.as_bytes()[..100]), gzip(&json.as_bytes()[100..])].concat();

    let wrappings: Vec<(&str, Vec<u8>)> = vec![
        ("PodList", raw.to_string().into()),
        ("PodList, its kind last", items_first.into()),
        ("JSON documents", one_by_one("\n").into()),
        ("JSON documents without blanks", one_by_one("").into()),
        ("JSON lines", lines.into()),
        ("several lists", lists.into()),
        ("an array", format!("[{}]", one_by_one(",")).into()),
        ("an array of lists", array_of_lists.into()),
        ("YAML", yaml.clone().into()),
        ("YAML with Windows line ends", yaml.replace('\n', "\r\n").into()),
        ("YAML list indented by hand", indented.into()),
        ("YAML documents", documents.into()),
        ("YAML lists", two_lists.into()),
        ("a byte order mark", format!("\u{feff}{json}").into()),
        ("a byte order mark, YAML", format!("\u{feff}{yaml}").into()),
        ("gzip of two members", members),
        ("gzip, YAML", gzip(yaml.as_bytes())),
        ("zstd", zstd.finish().unwrap()),
    ];
    for (what, bytes) in wrappings {
        match try_read(&[("x", &bytes)]) {
            Ok(snapshot) => assert_eq!(snapshot.pods, expected, "{what}"),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn a_text_within_yaml_that_looks_like_a_list_is_a_text() {
    let text = ".:53 {\n  log\n}\n---\n- apiVersion: v1\n  kind: Secret\nkind: List\n\n  x\n";
    let items = [config("kube-system", "coredns", "Corefile", text), pod("a", "web", "10.0.0.1")];
    let snapshot = read(&yaml_list(&items));
    assert_eq!(snapshot.corefiles[0].text, text);
    assert_eq!(names(&snapshot), ["web"]);
    assert!(snapshot.skipped.is_empty());
}

/// An object of a `PodList`, which does not say what it is.
fn bare(mut pod: Value) -> Value {
    let fields = pod.as_object_mut().unwrap();
    fields.remove("kind");
    fields.remove("apiVersion");
    pod
}

#[test]
fn a_list_may_be_empty() {
    for text in [r#"{"apiVersion":"v1","kind":"PodList","items":null}"#, &list(&[])] {
        let snapshot = read(text);
        assert!(snapshot.given && snapshot.pods.is_empty() && snapshot.broken.is_empty());
    }
    assert!(read("apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  x: \"\"\n").given);
}

#[test]
fn kinds_that_are_not_read_are_counted() {
    let knative = object("serving.knative.dev/v1", "Service", "a", "x", json!({"ports": "no"}));
    let secret = object("v1", "Secret", "a", "x", json!({}));
    let items = [knative, secret.clone(), secret, pod("a", "web", "10.0.0.1")];
    for text in [list(&items), yaml_list(&items)] {
        let snapshot = read(&text);
        let counts: Vec<_> = snapshot.skipped.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(counts, [("Secret", 2), ("Service.serving.knative.dev", 1)]);
        assert_eq!(names(&snapshot), ["web"]);
        assert!(snapshot.services.is_empty() && snapshot.broken.is_empty());
    }
}

#[test]
fn a_directory_is_one_snapshot_and_may_hold_other_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let [one, two, three] = pods();
    write("b/pods.json", &list(std::slice::from_ref(&one)));
    write("b.yaml", &yaml_list(&[two]));
    write(".git/pods.json", &list(&[three]));
    write("b/values.yaml", "image: {{ .Values.image }}\n");
    write("b/README.md", "# nothing\n");
    write("b/x.json", "{\"log\": \"[INFO] cut in the mid");
    let log = "[INFO] 10.0.0.1:4711 - 1 \"A IN web.a.svc.cluster.local. udp 41 false 512\" NOERROR";
    write("b/log.txt", log);
    #[cfg(unix)]
    std::os::unix::fs::symlink(directory.path(), directory.path().join("b/loop")).unwrap();

    let snapshot = super::read(&[directory.path().to_owned()], &[]).unwrap();
    assert_eq!(names(&snapshot), ["db", "web"]);
    assert_eq!(snapshot.moments.len(), 1);
    assert_eq!(snapshot.ignored.len(), 4, "{:?}", snapshot.ignored);

    write("c.json", &list(&[one])[..200]);
    let error = super::read(&[directory.path().to_owned()], &[]).unwrap_err().to_string();
    assert!(error.contains("c.json: ends in the middle"), "{error}");

    let empty = tempfile::tempdir().unwrap();
    let error = super::read(&[empty.path().to_owned()], &[]).unwrap_err().to_string();
    assert!(error.contains("holds no file of Kubernetes objects"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, list(&pods())).unwrap()
    });
    assert_eq!(super::read(&[path], &[]).unwrap().pods.len(), 3);
    writer.join().unwrap();
}

#[test]
fn many_objects_stay_in_order_on_many_threads() {
    let all: Vec<Value> =
        (0..1000).map(|i| pod("a", &format!("p{i:04}"), "10.0.0.1")).rev().collect();
    let snapshot = read(&list(&all));
    assert_eq!(snapshot.pods.len(), 1000);
    assert!(names(&snapshot).is_sorted());
    let all: Vec<usize> = (0..1000).collect();
    assert_eq!(
        super::documents::parallel(&all, |piece| piece.iter().map(|n| n * 2).collect::<Vec<_>>())
            .concat(),
        (0..1000).map(|n| n * 2).collect::<Vec<_>>()
    );
}

/// Secrets in every place where people put them: none is kept, in no form.
#[test]
fn no_secret_outlives_the_parsing() {
    let canary = |n: u32| format!("CANARY-{n}");
    let mut web = pod("a", "web", "10.0.0.1");
    web["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/last-applied-configuration": canary(1),
        "prometheus.io/port": "9090",
        "kico.dev/gone": canary(2),
    });
    web["metadata"]["managedFields"] = json!([{"manager": canary(3)}]);
    web["spec"]["containers"][0]["env"] = json!([
        {"name": "PASSWORD", "value": canary(4)},
        {"name": "ISTIO_META_DNS_CAPTURE", "value": canary(5)},
        {"name": canary(6), "valueFrom": {"secretKeyRef": {"name": canary(7)}}},
    ]);
    web["spec"]["containers"][0]["args"] = json!([canary(8)]);
    web["spec"]["containers"][0]["command"] = json!([canary(9)]);
    web["spec"]["containers"][0]["image"] = json!(canary(10));
    web["spec"]["containers"][0]["livenessProbe"] =
        json!({"httpGet": {"httpHeaders": [canary(11)]}});
    web["spec"]["initContainers"] = json!([{"name": "i", "env": [{"value": canary(12)}]}]);
    web["spec"]["volumes"] = json!([{"name": canary(13)}]);
    web["status"]["message"] = json!(canary(14));
    web["status"]["containerStatuses"] =
        json!([{"state": {"terminated": {"message": canary(15), "exitCode": 1}}}]);
    let mut typed_wrong = pod("a", "typed-wrong", "10.0.0.2");
    typed_wrong["spec"]["containers"] = json!(canary(16));
    let mut env_wrong = pod("a", "env-wrong", "10.0.0.3");
    env_wrong["spec"]["containers"][0]["env"] = json!(canary(17));
    let mut wrong_label = pod("a", "label-wrong", "10.0.0.4");
    wrong_label["metadata"]["labels"] = json!([canary(18)]);
    let mut wrong_protocol = pod("a", "protocol-wrong", "10.0.0.5");
    wrong_protocol["spec"]["containers"][0]["ports"] = json!([{"containerPort": 1, "protocol": format!("{}, expected `{}", canary(19), canary(20))}]);
    let wrong_address = pod("a", "address-wrong", &canary(21));
    let mut wrong_time = pod("a", "time-wrong", "10.0.0.6");
    wrong_time["status"]["startTime"] = json!(canary(22));
    let mut secret = config("kube-system", "s", "Corefile", &canary(23));
    secret["kind"] = json!("Secret");
    secret["stringData"] = json!({"record": canary(24)});
    let template = json!({"metadata": {"annotations": {"x": canary(25)}},
                          "spec": {"containers": [{"name": "c", "env": [{"name": canary(26), "value": canary(27)}]}]}});
    let deployment = object("apps/v1", "Deployment", "a", "web", json!({"template": template}));
    let cron = object(
        "batch/v1",
        "CronJob",
        "a",
        "web",
        json!({"jobTemplate": {"spec": {"template": template}}}),
    );
    let service = object(
        "v1",
        "Service",
        "a",
        "web",
        json!({"loadBalancerIP": canary(28), "ports": [{"port": canary(29)}]}),
    );
    let capture =
        config("", "kico-capture", "record", &format!("{{\"when\": \"{}\"}}", canary(30)));
    let items = [
        web,
        typed_wrong,
        env_wrong,
        wrong_label,
        wrong_protocol,
        wrong_address,
        wrong_time,
        secret,
        deployment,
        cron,
        service,
        capture,
        config("a", "c", "Corefile", &canary(31)),
        config("kube-system", "c", "password", &canary(32)),
    ];
    for text in [list(&items), yaml_list(&items)] {
        let snapshot = read(&text);
        let debug = format!("{snapshot:?}");
        assert!(!debug.contains("CANARY"), "{debug}");
        assert_eq!(snapshot.broken.len(), 8, "{:#?}", snapshot.broken);
        let web = snapshot.pods.iter().find(|pod| pod.meta.name == "web").unwrap();
        assert!(web.istio_dns);
        assert_eq!(
            web.meta.annotations.iter().collect::<Vec<_>>(),
            [("prometheus.io/port", "9090")]
        );
    }
}
