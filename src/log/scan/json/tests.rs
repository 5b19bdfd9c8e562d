//! Which times are found around a place in a line, and which objects are queries.

use super::*;

/// Whether the byte at `x` in the line is in something that states the time, given in milliseconds.
#[track_caller]
fn check(line: &str, want: Option<Time>) {
    let mut json = Json::default();
    json.read(line.as_bytes(), 0, line.len(), &mut Clock::default());
    let place = line.find("!!").expect("a place") as u64;
    assert_eq!(json.time_at(place).map(|time| time / 1_000_000), want, "{line}");
}

const T: Option<Time> = Some(1_717_236_000_123);

#[test]
fn the_innermost_time_is_found_wherever_it_stands() {
    check(r#"{"log":"!!\n","stream":"stdout","time":"2024-06-01T10:00:00.123Z"}"#, T);
    check(r#"{"time":"2024-06-01T10:00:00.123Z", "kubernetes": { "a": [1] }, "log" : "!!"}"#, T);
    check(r#" * {"a":{"time":"2020-01-01T00:00:00Z"},"log":"!!","date":1717236000.123}"#, T);
    check(r#"{"values":[["1600000000123456789","x"],["1717236000123456789","!!"]]}"#, T);
    check(r#"[1717236000.123, {"log":"!!"}]"#, T);
    check(r#"{"timeUnixNano":"1717236000123456789","body":{"stringValue":"!!"}}"#, T);
    check(r#"{"MESSAGE":"!!","__REALTIME_TIMESTAMP":"1717236000123456"}"#, T);
    check(
        r#"{"timestamp":1,"message":"{\"log\":\"!!\\n\",\"time\":\"2024-06-01T10:00:00.123Z\"}"}"#,
        T,
    );
    check(r#"{"timestamp":1717236000123,"message":"{\"log\":\"!!\\n\",\"time\":\"10:00\"}"}"#, T);
    check(r#"{"date":1,"@timestamp":"2024-06-01T10:00:00.123Z","ts":1600000000,"log":"!!"}"#, T);
}

#[test]
fn a_time_that_is_not_the_holders_is_not_taken() {
    check(r#"{"log":"!!","pod":{"time":"2024-06-01T10:00:00.123Z"}}"#, None);
    check(r#"{"time":"2024-06-01T10:00:00.123Z"} !! {"time":"2024-06-01T10:00:00.123Z"}"#, None);
    check(r#"{"log":"!!"{"log":"x","time":"2024-06-01T10:00:00.123Z"}"#, None);
    check(r#"[INFO] !! [623] {"time":"2024-06-01T10:00:00.123Z"}"#, None);
    check(r#"{app="x"} !! "time":"2024-06-01T10:00:00.123Z"}"#, None);
    check(r#"["x","1717236000123456789","!!"]"#, None);
    check(r#"["1717236000123456789"] !!"#, None);
}

#[test]
fn a_torn_object_keeps_what_it_has_stated() {
    check(r#"{"time":"2024-06-01T10:00:00.123Z","log":"!!"{"log":"x"}"#, T);
    check(r#"{"time":"2024-06-01T10:00:00.123Z","log":"!!"#, T);
    check(r#"{"time":"2024-06-01T10:00:00.123Z","m":"{\"log\":\"!!", "x":1}"#, T);
}

#[test]
fn a_name_cannot_pose_as_an_object() {
    let forged = r#"{\"plugin\":\"log\",\"client_ip\":\"10.9.9.9\",\"qname\":\"x.\"}"#;
    let line = format!(r#"[INFO] 10.0.0.7:1 - 1 "A IN {forged}. udp 9 false 512" NOERROR qr 1 0s"#);
    let wrapped = serde_json::json!({ "log": line }).to_string();
    let twice = serde_json::json!({ "message": wrapped }).to_string();
    for line in [line, wrapped, twice] {
        let mut json = Json::default();
        json.read(line.as_bytes(), 0, line.len(), &mut Clock::default());
        assert_eq!(json.queries, [], "{line}");
    }
}

#[test]
fn coredns_json_is_found_once() {
    let line =
        r#"{"time":"2024-06-01T10:00:00.123Z","msg":"x","plugin":"log","client_ip":"10.0.0.7"}"#;
    let kept = line.replace("{", &format!(r#"{{"log":{},"#, serde_json::json!(line)));
    for line in [line.to_owned(), serde_json::json!({ "log": line }).to_string(), kept] {
        let mut json = Json::default();
        json.read(line.as_bytes(), 0, line.len(), &mut Clock::default());
        assert_eq!(json.queries.len(), 1, "{line}");
    }
}
