//! The sockets of a child: the link of the session and the control socket of its main program.

use std::io::{BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use graft_protocol::{CellEnd, FromChild, PROTOCOL_VERSION, ToChild, frame};

use super::Supervisor;
use super::stream_barrier::Channel;
use crate::child_exit::Cause;
use crate::control;
use crate::event::EngineEvent;
use crate::shared_state::lock;

impl Supervisor {
    /// Starts the two threads of the link.
    pub(super) fn serve_link(
        self: &Arc<Self>,
        link: UnixStream,
        mut writer: UnixStream,
        messages: Receiver<ToChild>,
        done: Sender<()>,
    ) {
        std::thread::spawn(move || {
            while let Ok(message) = messages.recv() {
                if frame::write(&mut writer, &message, &[]).is_err() {
                    return;
                }
            }
            let _ = writer.shutdown(std::net::Shutdown::Write);
        });
        let supervisor = Arc::clone(self);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(link);
            while let Ok(Some((message, _))) = frame::read::<FromChild>(&mut reader) {
                supervisor.receive(message);
            }
            let _ = done.send(());
        });
    }

    pub(super) fn receive(&self, message: FromChild) {
        match message {
            FromChild::Ready { protocol, identity, .. } => self.ready(protocol, &identity),
            FromChild::Reply { id, result } => {
                if let Some(waiting) = lock(&self.pending).remove(&id) {
                    let _ = waiting.send(result);
                }
            }
            FromChild::Barrier { number } => self.barrier.wait(Channel::Link, number),
            FromChild::CellEnded(end) => self.cell_ended(end),
            FromChild::Event { event, .. } => self.shared.send(EngineEvent::Session(event)),
            FromChild::Snapshot(snapshot) => self.shared.set_snapshot(snapshot),
            FromChild::InterruptSeen { number, job } => {
                let mut state = lock(&self.state);
                state.acknowledged |= job.is_some() && number > state.interrupts_before;
            }
        }
    }

    fn ready(&self, protocol: u32, fingerprint: &str) {
        let command = lock(&self.command).clone();
        let expected = command.prebuilt.info.fingerprint.as_str();
        if protocol != PROTOCOL_VERSION || fingerprint != expected {
            self.kill(Cause::Shutdown);
            return self.fail_permanently(format!(
                "the prebuilt library has protocol {protocol} and build {fingerprint}, expected protocol {PROTOCOL_VERSION} and build {expected}; `graft install` rebuilds it"
            ));
        }
        if let Some(live) = &mut lock(&self.state).live {
            live.ready = true;
        }
        self.changed.notify_all();
    }

    /// Reports to evcxr that a cell without an effect has run.
    pub(super) fn skip_cell(&self) {
        self.cell().begin();
        self.cell_ended(CellEnd::default());
    }

    /// Reports the end of a cell to evcxr, in evcxr's own control lines.
    fn cell_ended(&self, end: CellEnd) {
        let lines = self.cell().end(end);
        let to_evcxr = lock(&self.state)
            .attachment
            .as_ref()
            .map(|attachment| Arc::clone(&attachment.to_evcxr));
        if let Some(to_evcxr) = to_evcxr {
            let _ = (&*to_evcxr).write_all(&lines);
        }
    }

    /// Starts the thread that reads the control socket.
    pub(super) fn serve_control(self: &Arc<Self>, socket: UnixStream) {
        let supervisor = Arc::clone(self);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(socket);
            while let Ok(Some((message, _))) = frame::read::<control::FromChild>(&mut reader) {
                match message {
                    control::FromChild::WantsInput => supervisor.ask_for_input(),
                    control::FromChild::NotLoaded { reason } => {
                        let message = format!("cannot load the compiled cell: {reason}");
                        supervisor
                            .cell_ended(CellEnd { failed: Some(message), ..CellEnd::default() });
                    }
                }
            }
        });
    }
}
