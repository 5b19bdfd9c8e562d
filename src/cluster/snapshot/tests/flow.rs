//! YAML in flow style, which begins as JSON does.

use super::refused::check_refused;
use super::*;

#[test]
fn yaml_in_flow_style_begins_like_json_and_is_read() {
    let pod = |name: &str| {
        format!("{{apiVersion: v1, kind: Pod, metadata: {{namespace: a, name: {name}}}}}")
    };
    let json = pod("c").replace(": ", "\": \"").replace(", ", "\", \"");
    let json = json.replace("{", "{\"").replace("}", "\"}").replace("\"{", "{").replace("}\"", "}");
    for (text, pods) in [
        (pod("b"), 1),
        (format!("\n  {}\n---\n{}\n...\n", pod("b"), pod("d")), 2),
        (format!("[{},\n {},]\n", pod("b"), pod("d")), 2),
        (format!("{{apiVersion: v1, kind: List, items: [{}, {}]}}", pod("b"), pod("d")), 2),
        (json.clone(), 1),
        // JSON documents in a stream of YAML, and a comma too many, which YAML allows.
        (format!("{json}\n---\n{}\n---\n{}", json.replace("\"c", "\"d"), pod("b")), 3),
        (json.replace("}}", "},}"), 1),
    ] {
        assert_eq!(read(&text).pods.len(), pods, "{text}");
    }
    // A number is none of the texts that a label is, in either style.
    let number = pod("x, labels: {v: 1.10}");
    assert_eq!(read(&number).broken.len(), 1);

    let neither = pod("b").replace("kind:", "kind\n:\n -");
    check_refused(
        neither.as_bytes(),
        "is no JSON at line 1 column 2: key must be a string, and is no YAML: ",
    );
    let second = format!("{}\n---\n{}", pod("b"), pod("b").replace("}}", "}"));
    check_refused(
        second.as_bytes(),
        "is no JSON at line 1 column 2: key must be a string, and in the part that begins at line 2, is no YAML: ",
    );
    // What is too much for that parser is what it began as.
    let many = json.replace("}}", &format!(", \"x\": [{}]}}}}", "[1, \"], \"],".repeat(11_000)));
    check_refused(many.as_bytes(), "is no JSON at line 1 column ");
    let error = try_read(&[("x", many.as_bytes())]).unwrap_err();
    assert!(!error.contains("YAML"), "{error}");
}
