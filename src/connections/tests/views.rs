//! Views and filters: they regroup and choose, and change no evidence.

use expect_test::expect;

use super::*;
use crate::connections::filter::{Filters, choose};

const VIEWS: [&str; 5] = [
    "10.1.0.7 db.shop.svc.cluster.local A=1",
    "10.1.0.8 db.shop.svc.cluster.local A=1",
    "10.1.0.8 store.data.svc.cluster.local A=5",
    "10.1.0.8 api.example.org A=5",
    "10.1.0.9 db.shop.svc.cluster.local A=1",
];

#[test]
fn a_view_regroups_the_connections_that_there_are() {
    for (group_by, expected) in [
        (
            GroupBy::Pod,
            expect![[r#"
                Pod shop/web-6c-a [web-6c-a] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
                Pod shop/web-6c-b [web-6c-b] -> External /api.example.org [] ["api.example.org"]: 5 queries, 5 lookups, 0 failed, 0 attempts, ok
                Pod shop/web-6c-b [web-6c-b] -> Service data/store ["Number(7000)"] ["store.data.svc.cluster.local"]: 5 queries, 5 lookups, 0 failed, 0 attempts, ok
                Pod shop/web-6c-b [web-6c-b] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
            "#]],
        ),
        (
            GroupBy::Namespace,
            expect![[r#"
                Namespace shop/shop [web-6c-b] -> External /api.example.org [] ["api.example.org"]: 5 queries, 5 lookups, 0 failed, 0 attempts, ok
                Namespace shop/shop [web-6c-b] -> Namespace data/data ["Number(7000)"] ["store.data.svc.cluster.local"]: 5 queries, 5 lookups, 0 failed, 0 attempts, ok
                Namespace shop/shop [web-6c-a,web-6c-b] -> Namespace shop/shop ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 2 queries, 2 lookups, 0 failed, 0 attempts, ok
            "#]],
        ),
    ] {
        // Two pods with one lookup each reach the bar of two together; the CronJob does not.
        let options = Options { group_by, min_lookups: 2, ..Options::default() };
        check_with(small(), &VIEWS, options, expected);
    }
}

#[test]
fn an_excluded_namespace_did_not_ask() {
    let exclude = ["shop".to_owned()];
    let options = Options { exclude_namespaces: &exclude, ..Options::default() };
    check_with(
        small(),
        &VIEWS,
        options,
        expect![[r#"
            CronJob jobs/report [report-1] -> Service shop/db ["Number(5432)", "Number(9187)"] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
        "#]],
    );
}

#[test]
fn filters_choose_rows_and_subjects() {
    let mut snapshot = small();
    snapshot.given = true;
    let made = cluster(snapshot);
    let tally =
        tally(&[&VIEWS[..], &["10.1.0.8 dbb.data.svc.cluster.local A/NXDOMAIN=1"]].concat());
    let check = |filters: Filters, expected: &[&str], subjects: &[&str]| {
        let choice = choose(&filters, &made).unwrap();
        let report = join(&tally, &made, Options { choice: Some(&choice), ..Options::default() });
        let rows =
            report.connections.iter().map(|c| format!("{}>{}", c.client.name, c.server.name));
        let failed = report.failed_lookups.iter().map(|f| format!("{}!{}", f.client.name, f.name));
        assert_eq!(rows.chain(failed).collect::<Vec<_>>(), expected, "{filters:?}");
        let ids = (0..made.workloads.list.len()).map(|at| WorkloadId(at as u32));
        let chosen =
            ids.filter(|id| choice.subject(*id)).map(|id| made.workloads.get(id).name.clone());
        assert_eq!(chosen.collect::<Vec<_>>(), subjects, "{filters:?}");
        assert_eq!(report.totals.connected, 13);
    };
    let all = ["store", "report", "db", "web"];
    let one = |text: &str| vec![text.to_owned()];
    let failed = "web!dbb.data.svc.cluster.local";
    check(
        Filters::default(),
        &["report>db", "web>api.example.org", "web>store", "web>db", failed],
        &all,
    );
    check(
        Filters { namespaces: one("data"), ..Filters::default() },
        &["web>store", failed],
        &["store"],
    );
    check(
        Filters { pods: one("db-7d-x"), ..Filters::default() },
        &["report>db", "web>db"],
        &["db"],
    );
    check(Filters { services: one("store"), ..Filters::default() }, &["web>store"], &["store"]);
    check(
        Filters { workloads: one("deploy/db"), ..Filters::default() },
        &["report>db", "web>db"],
        &["db"],
    );
    check(Filters { to: one("shop/db"), ..Filters::default() }, &["report>db", "web>db"], &["db"]);
    check(
        Filters { to: one("data"), from: one("shop"), ..Filters::default() },
        &["web>store", failed],
        &["store"],
    );
    check(
        Filters { from: vec!["jobs/report".into(), "shop/web-6c-a".into()], ..Filters::default() },
        &["report>db", "web>db"],
        &all,
    );
    check(
        Filters {
            services: one("db"),
            from: one("jobs"),
            namespaces: one("shop"),
            ..Filters::default()
        },
        &["report>db"],
        &["db"],
    );
    check(Filters { services: one("mail"), ..Filters::default() }, &[], &[]);
}

#[test]
fn namespace_and_from_choose_the_subjects_of_egress_policies() {
    let mut snapshot = small();
    snapshot.given = true;
    let made = cluster(snapshot);
    let check = |filters: Filters, expected: &[&str]| {
        let choice = choose(&filters, &made).unwrap();
        let clients = made.workloads.iter().filter(|(id, _)| choice.client(*id));
        let names: Vec<&str> = clients.map(|(_, workload)| workload.name.as_str()).collect();
        assert_eq!(names, expected, "{filters:?}");
    };
    let one = |text: &str| vec![text.to_owned()];
    let all = ["store", "report", "db", "web"];
    check(Filters::default(), &all);
    check(Filters { to: one("data"), ..Filters::default() }, &all);
    check(Filters { namespaces: one("data"), ..Filters::default() }, &["store"]);
    check(Filters { from: one("jobs"), ..Filters::default() }, &["report"]);
    // By the name of one of its pods.
    check(Filters { from: one("shop/web-6c-a"), ..Filters::default() }, &["web"]);
    check(Filters { from: one("shop/web"), namespaces: one("data"), ..Filters::default() }, &[]);
}

#[test]
fn what_a_filter_does_not_find_is_an_error_with_its_neighbours() {
    let mut snapshot = small();
    snapshot.pods.push(owned(pod("jobs", "db-7d-x", "10.1.0.70"), "Deployment", "db", ""));
    let foreign = "StatefulSet.apps.kruise.io";
    snapshot.pods.push(owned(pod("jobs", "cache-0", "10.1.0.71"), foreign, "cache", ""));
    let made = cluster(snapshot);
    let one = |text: &str| vec![text.to_owned()];
    let check = |filters: Filters, expected: &str| {
        assert_eq!(choose(&filters, &made).unwrap_err().to_string(), expected);
    };
    check(
        Filters { namespaces: one("shopp"), ..Filters::default() },
        "the snapshot has no namespace \"shopp\"; the nearest: shop",
    );
    check(
        Filters { exclude_namespaces: one("monitoring"), ..Filters::default() },
        "the snapshot has no namespace \"monitoring\"",
    );
    check(
        Filters { services: one("bd"), namespaces: one("shop"), ..Filters::default() },
        "the snapshot has no service \"bd\" in namespace shop; the nearest: db",
    );
    check(
        Filters { pods: one("db-7d-x"), ..Filters::default() },
        "pod \"db-7d-x\" is in several namespaces (jobs, shop): add -n",
    );
    check(
        Filters { pods: one("db-7d"), ..Filters::default() },
        "the snapshot has no pod \"db-7d\"; the nearest: db-7d-x",
    );
    check(
        Filters { pods: one("bd-7"), ..Filters::default() },
        "the snapshot has no pod \"bd-7\"; the nearest: db-7d-x",
    );
    check(
        Filters { workloads: one("db"), ..Filters::default() },
        "--workload db: give KIND/NAME, for example deployment/web",
    );
    check(
        Filters { workloads: one("sts/db"), ..Filters::default() },
        "the snapshot has no workload \"sts/db\"",
    );
    check(
        Filters { workloads: one("sts/cache"), ..Filters::default() },
        "the snapshot has no workload \"sts/cache\"; the nearest: statefulset.apps.kruise.io/cache, statefulset/store",
    );
    let exact = Filters { workloads: one("sts.apps.kruise.io/cache"), ..Filters::default() };
    assert!(choose(&exact, &made).is_ok());
    check(
        Filters { to: one("data/stor"), ..Filters::default() },
        "the snapshot has no service, workload or pod \"data/stor\"; the nearest: store, store-0, store-1",
    );
    check(
        Filters { from: one("shop/\u{1b}[2J"), ..Filters::default() },
        "the snapshot has no workload or pod \"shop/\\x1b[2J\"",
    );
}

#[test]
fn without_a_snapshot_names_speak_for_themselves() {
    let made = Cluster::new(Snapshot::default(), &[]);
    let tally = tally(&[
        "10.1.0.7 db.shop.svc.cluster.local A=1",
        "10.1.0.7 x.y.shop.svc.cluster.local A/NXDOMAIN=1",
        "10.1.0.7 x.y.svc.cluster.local A=1",
        "10.1.0.7 api.example.org A=1",
    ]);
    let filters = Filters { namespaces: vec!["shop".into()], ..Filters::default() };
    for (filters, expected) in [
        (
            Filters::default(),
            expect![[r#"
                Unknown /10.1.0.7 [] -> External /api.example.org [] ["api.example.org"]: 1 queries, 1 lookups, 0 failed, 0 attempts, ok
                Unknown /10.1.0.7 [] -> Service shop/db [] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot
                Unknown /10.1.0.7 [] -> Service y/x [] ["x.y.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 1 attempts, not in snapshot
            "#]],
        ),
        (
            filters,
            expect![[r#"
                Unknown /10.1.0.7 [] -> Service shop/db [] ["db.shop.svc.cluster.local"]: 1 queries, 1 lookups, 0 failed, 0 attempts, not in snapshot
            "#]],
        ),
    ] {
        let choice = choose(&filters, &made).unwrap();
        let report = join(&tally, &made, Options { choice: Some(&choice), ..Options::default() });
        expected.assert_eq(&show(&report));
    }
    let pods = Filters { pods: vec!["a".into()], ..Filters::default() };
    assert!(choose(&pods, &made).unwrap_err().to_string().contains("--snapshot"));
}
