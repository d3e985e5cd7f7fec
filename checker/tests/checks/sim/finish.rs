//! What comes after traffic: liveness, probes, and reading the members' state.

use checker::history::{
    AuthRequest, MaintenanceRequest, Phase, ProcessEventKind, Purpose, Request,
};
use checker::judge::{Complete, RunRecords};

use super::{DENIED, End, Sim, everything, get, put, status};

impl Sim {
    fn names(&self) -> Vec<&'static str> {
        self.stores.keys().copied().collect()
    }

    fn voters(&self) -> Vec<&'static str> {
        self.names()
            .into_iter()
            .filter(|name| !self.learners.contains(name))
            .collect()
    }

    pub(crate) fn liveness(&mut self) {
        self.phase(Phase::Heal);
        self.phase(Phase::Liveness);
        for member in self.voters() {
            let value = format!("alive-{member}");
            self.ask(
                Purpose::LivenessWrite,
                0,
                member,
                None,
                put("live", &value),
                End::Ok,
            );
            self.ask(Purpose::LivenessRead, 0, member, None, get("live"), End::Ok);
        }
        for member in self.names() {
            self.ask(Purpose::LivenessCatchUp, 0, member, None, status(), End::Ok);
        }
        self.phase(Phase::Final);
    }

    pub(crate) fn statuses(&mut self) {
        for round in 0..2 {
            for member in self.names() {
                self.ask(
                    Purpose::ConvergenceStatus,
                    round,
                    member,
                    None,
                    status(),
                    End::Ok,
                );
            }
        }
    }

    pub(crate) fn hashes(&mut self, round: u32) {
        let revision = self
            .stores
            .values()
            .map(|store| store.revision)
            .min()
            .unwrap();
        let request = Request::Maintenance(MaintenanceRequest::HashKv { revision });
        for member in self.voters() {
            self.ask(
                Purpose::ConvergenceHash,
                round,
                member,
                None,
                request.clone(),
                End::Ok,
            );
        }
    }

    pub(crate) fn contents(&mut self) {
        for serializable in [false, true] {
            let members = if serializable {
                self.names()
            } else {
                self.voters()
            };
            for member in members {
                let purpose = Purpose::ConvergenceContent;
                self.ask(purpose, 0, member, None, everything(serializable), End::Ok);
            }
        }
    }

    pub(crate) fn stop(&mut self) {
        self.phase(Phase::Stop);
        for member in self.names() {
            self.process(member, ProcessEventKind::Exited { code: 0 }, true);
        }
    }

    pub(crate) fn judge_state(&mut self) {
        self.statuses();
        self.hashes(0);
        self.contents();
        self.stop();
    }

    /// Everything after traffic.
    pub(crate) fn finish(mut self) -> RunRecords {
        self.liveness();
        self.judge_state();
        self.records()
    }

    pub(crate) fn records(self) -> RunRecords {
        RunRecords {
            history: self.history,
            faults: vec![],
            observations: self.observations,
            complete: Complete::ALL,
        }
    }

    /// The probes of auth, as sound members answer them.
    pub(crate) fn probe_auth(&mut self) {
        for member in self.voters() {
            self.log_in(member, End::Ok);
            self.allowed(member, End::Ok);
            self.denied(member, End::Error(DENIED));
        }
    }

    pub(crate) fn log_in(&mut self, member: &str, end: End) -> u64 {
        let request = Request::Authenticate {
            user: "alice".into(),
            password: "alice".into(),
        };
        self.ask(Purpose::AuthLogin, 0, member, None, request, end)
    }

    pub(crate) fn allowed(&mut self, member: &str, end: End) -> u64 {
        let value = format!("probe-{member}");
        self.ask(
            Purpose::AuthAllowed,
            0,
            member,
            Some("alice"),
            put("a/probe", &value),
            end,
        )
    }

    pub(crate) fn denied(&mut self, member: &str, end: End) -> u64 {
        self.ask(
            Purpose::AuthDenied,
            0,
            member,
            Some("alice"),
            get("z/secret"),
            end,
        )
    }

    pub(crate) fn enable_auth(&mut self) {
        let request = Request::Auth(AuthRequest::Enable);
        self.ask(Purpose::Setup, 0, "m1", None, request, End::Ok);
    }
}
