//! What a malformed scenario file is answered with, word for word.

use scenarios::{Scenario, find, library};

/// Checks the errors of a file whose first two lines are its name and title.
#[track_caller]
fn refused(rest: &str, expected: &str) {
    let text = format!("name = \"my\"\ntitle = \"Mine\"\n{rest}");
    match Scenario::parse("my.toml", &text) {
        Ok(_) => panic!("not refused:\n{text}"),
        Err(error) => assert_eq!(error.to_string(), expected, "\n{text}"),
    }
}

const ACTIONS: &str = "defragment, kill, terminate, pause, resume, restart, cut, slow_link, \
    drop_connections, heal_network, member_add, member_promote, member_remove, grant_permission, revoke_permission, puts, compact, \
    wait_caught_up, arm, disarm, release, snapshot, move_leader, alarm_raise, alarm_clear, \
    auth_disable, auth_enable, lease_churn, power_cycle, rolling_restart, swap, gofail, power_loss, \
    disk_fault, disk_heal, sleep";

#[test]
fn toml_that_does_not_parse() {
    refused("[cluster\n", "my.toml:3:9: unclosed table, expected `]`");
}

#[test]
fn unknown_table() {
    refused(
        "[clutser]\nmembers = 3\n",
        "my.toml:3:2: unknown field \"clutser\"; did you mean \"cluster\"? \
         Allowed: name, title, issue, about, cluster, auth, traffic, step, expect",
    );
}

#[test]
fn missing_name() {
    let error = Scenario::parse("my.toml", "title = \"Mine\"").unwrap_err();
    assert_eq!(error.to_string(), "my.toml:1:1: field \"name\" is missing");
}

#[test]
fn unknown_action() {
    refused(
        "[[step]]\ndo = \"defragg\"\ntarget = \"m1\"\n",
        &format!(
            "my.toml:4:6: step 1: unknown action \"defragg\"; did you mean \"defragment\"? \
             Allowed: {ACTIONS}"
        ),
    );
}

#[test]
fn unknown_field_of_a_step() {
    refused(
        "[[step]]\ndo = \"kill\"\ntarget = \"m1\"\nafer = \"1 s\"\n",
        "my.toml:6:1: step 1: unknown field \"afer\"; did you mean \"after\"? \
         Allowed: repeat, do, after, background, phase, when, target, as",
    );
}

#[test]
fn watchers_start_somewhere_and_log_in_as_nobody() {
    refused(
        "[[traffic.watchers]]\nstart = [\"now\", \"futur\"]\n",
        "my.toml:4:9: watchers 1: start: unknown \"futur\"; did you mean \"future\"? \
         Allowed: past, now, future, compacted",
    );
    refused(
        "[auth.users]\nalice = [\"k/\"]\n\n[[traffic.watchers]]\neach = 1\n",
        "my.toml:6:3: traffic: watchers log in as nobody, so they go without [auth]",
    );
}

#[test]
fn armed_faults_say_where_and_what() {
    let arm =
        |rest: &str| format!("[[step]]\ndo = \"arm\"\ntarget = \"m1\"\nfault = \"f\"\n{rest}");
    refused(
        &arm("act = \"kill\"\n"),
        "my.toml:3:1: step 1: name where: either \"symbol\", a function, or \"call\", a system call; \
         and \"point\", a failpoint, where there is one",
    );
    refused(
        &arm("symbol = \"a.b\"\npoint = \"return\"\nact = \"kill\"\n"),
        "my.toml:8:9: step 1: point: \"point\" is the name of a failpoint: the end of a function \
         is \"edge\" = \"return\"",
    );
    refused(
        &arm("point = \"raftBeforeSave\"\nact = \"fail\"\n"),
        "my.toml:3:1: step 1: a \"point\" alone can kill, hold and report",
    );
    refused(
        &arm("symbol = \"a.b\"\nact = \"skip\"\n"),
        "my.toml:3:1: step 1: field \"returns\" is missing: the binary does not say whether the \
         function has results; allowed: nothing, zero, one",
    );
    refused(
        &arm("symbol = \"a.b\"\nact = \"hodl\"\n"),
        "my.toml:8:7: step 1: act: unknown act \"hodl\"; did you mean \"hold\"? \
         Allowed: kill, hold, skip, report, fail, short",
    );
    refused(
        &arm("symbol = \"a.b\"\nact = \"kill\"\nerrno = \"EIO\"\n"),
        "my.toml:3:1: step 1: act \"kill\" takes no \"errno\"",
    );
}

#[test]
fn events_name_what_an_earlier_step_began() {
    let sleep = |when: &str| format!("[[step]]\ndo = \"sleep\"\nafter = 0\nwhen = {when}\n");
    refused(
        &sleep("{}").replace("after = 0", "after = \"1 ms\""),
        "my.toml:6:8: step 1: when: name one event; allowed: hit, log with of, in_flight with at, \
         leads, follows, revision, needs_snapshot",
    );
    refused(
        &sleep("{ hit = \"torn\" }").replace("after = 0", "after = \"1 ms\""),
        "my.toml:4:6: step 1: no earlier step arms \"torn\"; allowed: none so far",
    );
    refused(
        &sleep("{ in_flight = \"defragment\", at = \"m1\" }")
            .replace("after = 0", "after = \"1 ms\""),
        "my.toml:4:6: step 1: no earlier step does \"defragment\" in the background; allowed: none so far",
    );
}

#[test]
fn every_problem_of_a_file_is_reported() {
    refused(
        "[[step]]\nrepeat = 2\ntarget = \"m1\"\n[[step.steps]]\ndo = \"killl\"\ntarget = \"m1\"\n\
         [cluster]\nmembers = \"two\"\n",
        &format!(
            "my.toml:5:1: step 1: unknown field \"target\"; allowed: repeat, steps\n\
             my.toml:7:6: step 1.1: unknown action \"killl\"; did you mean \"kill\"? \
             Allowed: {ACTIONS}\n\
             my.toml:10:11: cluster: members: this is of type string; allowed: 1, 3, 5, or an \
             array of these to draw one of"
        ),
    );
}

#[test]
fn restart_of_a_member_that_was_never_stopped() {
    refused(
        "[[step]]\ndo = \"restart\"\ntarget = \"m1\"\n",
        "my.toml:5:10: step 1: no earlier step kills or terminates m1",
    );
}

#[test]
fn restart_that_only_some_draws_make_wrong() {
    refused(
        "[[step]]\ndo = \"kill\"\ntarget = \"random\"\n[[step]]\ndo = \"restart\"\ntarget = \"m1\"\n",
        "my.toml:8:10: step 2: no earlier step kills or terminates m1",
    );
}

#[test]
fn target_that_nothing_binds() {
    refused(
        "[[step]]\ndo = \"kill\"\ntarget = \"random\"\nas = \"victim\"\n\n\
         [[step]]\ndo = \"restart\"\ntarget = \"victm\"\n",
        "my.toml:10:10: step 2: target \"victm\" is neither a member nor bound by an earlier \
         \"as\"; did you mean \"victim\"? \
         Allowed: random, all, leader, follower, all but NAME, m1, m2, m3, victim",
    );
}

#[test]
fn name_that_cannot_be_bound() {
    refused(
        "[[step]]\ndo = \"kill\"\ntarget = \"all\"\nas = \"m2\"\n",
        "my.toml:6:6: step 1: as: \"m2\" cannot be bound; allowed: letters, digits, '_' and '-', \
         but no member's name and none of random, all, leader, follower, but",
    );
}

#[test]
fn all_but_several() {
    refused(
        "[[step]]\ndo = \"kill\"\ntarget = \"all\"\nas = \"x\"\n\
         [[step]]\ndo = \"restart\"\ntarget = \"all but x\"\n",
        "my.toml:9:10: step 2: \"x\" is not one member here, so \"all but x\" says nothing",
    );
}

#[test]
fn all_but_the_only_member() {
    refused(
        "[cluster]\nmembers = 1\n[[step]]\ndo = \"kill\"\ntarget = \"all but random\"\n",
        "my.toml:7:10: step 1: all but m1 is nobody in a cluster of one",
    );
}

#[test]
fn members_that_make_no_cluster() {
    refused(
        "[cluster]\nmembers = 4\n",
        "my.toml:4:11: cluster: members: allowed: 1, 3, 5, or an array of these to draw one of",
    );
}

#[test]
fn cut_without_proxies() {
    refused(
        "[[step]]\ndo = \"cut\"\ntarget = \"m1\"\n",
        "my.toml:5:10: step 1: a cut needs peer_proxies = true in [cluster]",
    );
}

#[test]
fn permission_without_auth() {
    refused(
        "[[step]]\ndo = \"grant_permission\"\nuser = \"alice\"\nprefix = \"b/\"\n",
        "my.toml:4:6: step 1: user \"alice\" needs auth; add [auth] with users",
    );
}

#[test]
fn revocation_of_what_was_never_granted() {
    refused(
        "[auth.users]\nalice = [\"a/\"]\n\
         [[step]]\ndo = \"revoke_permission\"\nuser = \"alice\"\nprefix = \"b/\"\n",
        "my.toml:6:6: step 1: user \"alice\" has no permission on \"b/\" by then",
    );
}

#[test]
fn missing_fields_of_an_action() {
    refused(
        "[[step]]\ndo = \"puts\"\ncount = 5\n",
        "my.toml:3:1: step 1: field \"prefix\" is missing",
    );
    refused(
        "[[step]]\ndo = \"sleep\"\n",
        "my.toml:3:1: step 1: field \"after\" is missing: how long to sleep",
    );
}

#[test]
fn steps_on_disks() {
    refused(
        "[[step]]\ndo = \"power_loss\"\ntarget = \"random\"\n",
        "my.toml:5:10: step 1: this needs disk = true in [cluster]",
    );
    refused(
        "[cluster]\ndisk = \"strct\"\n",
        "my.toml:4:8: cluster: disk: unknown form of disk \"strct\"; did you mean \"strict\"? \
         Allowed: ordered, strict",
    );
    let on_disk = "[cluster]\ndisk = true\n[[step]]\ntarget = \"m1\"\n";
    refused(
        &format!("{on_disk}do = \"power_loss\"\nsurvival = \"tron\"\n"),
        "my.toml:8:12: step 1: survival: unknown survival \"tron\"; did you mean \"torn\"? \
         Allowed: synced-only, torn, subset",
    );
    let fault = format!("{on_disk}do = \"disk_fault\"\nfault = \"f\"\n");
    refused(
        &format!("{fault}kind = \"enospc\"\n"),
        "my.toml:5:1: step 1: field \"bytes\" is missing: how much space there is",
    );
    refused(
        &format!("{fault}kind = \"eio\"\nevery = 5\n"),
        "my.toml:5:1: step 1: kind \"eio\" takes no \"every\"",
    );
}

#[test]
fn inverted_range() {
    refused(
        "[traffic]\ntime = \"3..2 s\"\n",
        "my.toml:4:8: traffic: time: the range \"3..2 s\" is inverted; write the smaller end first",
    );
}

#[test]
fn time_without_a_unit() {
    refused(
        "[traffic]\ntime = 3\n",
        "my.toml:4:8: traffic: time: this is of type integer; \
         allowed: \"250 ms\", \"0..20 ms\" or [\"1 s\", \"2 s\"]",
    );
}

#[test]
fn number_out_of_bounds() {
    refused(
        "[traffic]\nclients = [2, 99]\n",
        "my.toml:4:11: traffic: clients: 99 is out of bounds; allowed: 1 to 64",
    );
}

#[test]
fn unknown_profile() {
    refused(
        "[traffic]\nprofile = \"writse\"\n",
        "my.toml:4:11: traffic: profile: unknown profile \"writse\"; did you mean \"writes\"? \
         Allowed: default, writes, auth, lists, watches",
    );
}

#[test]
fn weights_that_leave_nothing_to_do() {
    let names = "get get_serializable list list_limit count put delete txn_cas txn_multi";
    let zeros: String = names
        .split(' ')
        .map(|name| format!("{name} = 0\n"))
        .collect();
    refused(
        &format!("[traffic]\nprofile = \"writes\"\n[traffic.weights]\n{zeros}"),
        "my.toml:3:1: traffic: all weights are zero, so there is nothing to do",
    );
}

#[test]
fn election_too_close_to_heartbeat() {
    refused(
        "[cluster]\nheartbeat = \"100 ms\"\nelection = \"200 ms\"\n",
        "my.toml:3:1: cluster: the election timeout is 200 ms at a heartbeat of 100 ms; \
         allowed: 5 heartbeats to 50 s",
    );
    refused(
        "[cluster]\nheartbeat = \"100 ms\"\n",
        "my.toml:3:1: cluster: \"heartbeat\" and \"election\" go together: give both or neither",
    );
}

#[test]
fn flags_that_the_harness_sets() {
    refused(
        "[cluster]\nflags = [\"--snapshot-count=5\", \"quiet\"]\n",
        "my.toml:4:10: cluster: flags: flag \"--snapshot-count\" cannot be given here: use \
         cluster.snapshot_count\n\
         my.toml:4:32: cluster: flags: \"quiet\" is no flag; \
         allowed: for example \"--auto-compaction-retention=1\"",
    );
}

#[test]
fn version_requirement_that_does_not_parse() {
    refused(
        "[[expect]]\nversions = \">=3.5,, <4\"\nverdict = \"holds\"\n",
        "my.toml:4:12: expect 1: versions: \">=3.5,, <4\" is no version requirement (unexpected \
         character ',' while parsing major version number); \
         allowed: for example \">=3.5.0, <3.5.6\", \"=3.5.5\" or \"*\"",
    );
}

#[test]
fn unknown_guarantee() {
    refused(
        "[[expect]]\nversions = \"*\"\nverdict = \"violated\"\nguarantees = [\"linearisable\"]\n",
        "my.toml:6:15: expect 1: guarantees: unknown guarantee \"linearisable\"; \
         did you mean \"linearizable\"? Allowed: linearizable, durable, converges, \
         watch, refused-has-no-effect, auth-consistent, process-stays-up, live",
    );
}

#[test]
fn violated_without_saying_what() {
    refused(
        "[[expect]]\nversions = \"*\"\nverdict = \"violated\"\n",
        "my.toml:3:1: expect 1: \"violated\" needs \"guarantees\": at least one of them is then \
         broken",
    );
}

#[test]
fn unknown_scenario() {
    let names: Vec<_> = library().iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        find("defrag-crsh").unwrap_err().to_string(),
        format!(
            "no scenario \"defrag-crsh\"; did you mean \"defrag-crash\" or \"defrag-snapshot\"? \
             Allowed: {} (or name a file: by a path with a '/', or ending in .toml)",
            names.join(", ")
        )
    );
    let error = find("no-such-dir/my.toml").unwrap_err().to_string();
    assert!(error.starts_with("no-such-dir/my.toml: "), "{error}");
}

#[test]
fn cuts_that_mean_nothing() {
    let cut = |more: &str| {
        format!("[cluster]\npeer_proxies = true\n[[step]]\ndo = \"cut\"\ntarget = \"m1\"\n{more}\n")
    };
    refused(
        &cut("shape = \"halfs\""),
        "my.toml:8:9: step 1: shape: unknown shape \"halfs\"; did you mean \"halves\"? \
         Allowed: isolate, halves, bridge, ring, one_way, leader_away",
    );
    refused(
        &cut("how = [\"reset\", \"blak\"]"),
        "my.toml:8:7: step 1: how: unknown way to cut \"blak\"; did you mean \"blackhole\"? \
         Allowed: reset, blackhole, lossy",
    );
    refused(
        &cut("clients = true"),
        "my.toml:7:10: step 1: a cut needs client_proxies = true in [cluster]",
    );
    refused(
        &cut("clients = \"all\""),
        "my.toml:8:11: step 1: clients: \"all\" is not understood; allowed: true, false, \"only\"",
    );
    refused(
        &cut("shape = \"ring\"\nto = \"m2\""),
        "my.toml:7:10: step 1: \"to\" goes with the shapes isolate and one_way only",
    );
    refused(
        &cut("shape = \"one_way\"\nto = \"m9\""),
        "my.toml:7:10: step 1: target \"m9\" is neither a member nor bound by an earlier \"as\"; \
         did you mean \"m1\" or \"m2\"? Allowed: random, all, leader, follower, all but NAME, m1, \
         m2, m3",
    );
    refused(
        "[cluster]\npeer_proxies = true\n[[step]]\ndo = \"slow_link\"\ntarget = \"m1\"\n",
        "my.toml:5:1: step 1: name at least one of \"delay\", \"jitter\" and \"bandwidth\"",
    );
}

#[test]
fn what_namespaces_cannot_do() {
    refused(
        "[cluster]\nnetwork = \"namespace\"\n",
        "my.toml:4:11: cluster: network: unknown network \"namespace\"; did you mean \
         \"namespaces\"? Allowed: proxies, namespaces",
    );
    refused(
        "[cluster]\nnetwork = \"namespaces\"\npeer_proxies = true\n",
        "my.toml:3:1: cluster: peers in namespaces have no proxies; leave out peer_proxies",
    );
    refused(
        "[cluster]\nnetwork = \"namespaces\"\n[[step]]\ndo = \"cut\"\ntarget = \"m1\"\n",
        "my.toml:7:10: step 1: between members in namespaces only packets can be lost: a cut \
         with how = \"blackhole\"",
    );
}
