// SPDX-License-Identifier: GPL-2.0-only

//! What the host does for a test.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use lkmpg_proto::{Event, Reply};

use crate::report::{Port, Report};

/// Somebody who can be asked for something.
pub trait Ask: Send {
    /// Asks, and waits for the answer.
    fn ask(&mut self, request: &Event) -> Result<Reply>;
}

impl Ask for Port {
    fn ask(&mut self, request: &Event) -> Result<Reply> {
        self.send(request)?;
        self.reply()
    }
}

/// The host. Clones are the same one.
#[derive(Clone)]
pub struct Host(Arc<Mutex<dyn Ask>>);

impl Host {
    /// The one that answers by `way`.
    pub fn at(way: impl Ask + 'static) -> Self {
        Self(Arc::new(Mutex::new(way)))
    }

    /// Has it do what `request` says. It has done so when this returns.
    fn ask(&self, request: &Event) -> Result<()> {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match way.ask(request)? {
            Reply::Done => Ok(()),
            Reply::Refused(why) => bail!("the host refuses: {why}"),
        }
    }

    /// Pulls out the device with this `id`.
    pub fn unplug(&self, id: &str) -> Result<PulledOut> {
        let device = id.to_owned();
        self.ask(&Event::Unplug { device })
            .with_context(|| format!("{id} is not unplugged"))?;
        Ok(PulledOut {
            host: self.clone(),
            device: id.to_owned(),
            is_out: true,
        })
    }
}

/// A device that the host has pulled out. It is plugged in again when this is dropped.
#[must_use]
pub struct PulledOut {
    host: Host,
    device: String,
    is_out: bool,
}

impl PulledOut {
    /// Plugs it in again, as it was. The kernel notices when this has returned, sooner or later.
    ///
    /// # Errors
    ///
    /// When the host cannot do that.
    pub fn plug_in(mut self) -> Result<()> {
        self.put_back()
    }

    fn put_back(&mut self) -> Result<()> {
        if !mem::replace(&mut self.is_out, false) {
            return Ok(());
        }
        let device = self.device.clone();
        self.host
            .ask(&Event::Plug { device })
            .with_context(|| format!("{} is not plugged in", self.device))
    }
}

impl Drop for PulledOut {
    fn drop(&mut self) {
        // Who needs the device looks for it.
        let _ = self.put_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it is asked, and has only one device.
    struct Fake(Arc<Mutex<Vec<Event>>>);

    impl Ask for Fake {
        fn ask(&mut self, request: &Event) -> Result<Reply> {
            self.0.lock().unwrap().push(request.clone());
            Ok(match request {
                Event::Unplug { device } if device != "kbd" => {
                    Reply::Refused(format!("no {device}"))
                }
                _ => Reply::Done,
            })
        }
    }

    #[test]
    fn what_is_pulled_out_is_plugged_in_once() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let host = Host::at(Fake(asked.clone()));
        let device = || "kbd".to_owned();
        let both = [
            Event::Unplug { device: device() },
            Event::Plug { device: device() },
        ];
        let out = host.unplug("kbd").unwrap();
        assert_eq!(*asked.lock().unwrap(), both[..1]);
        out.plug_in().unwrap();
        assert_eq!(*asked.lock().unwrap(), both);
        drop(host.unplug("kbd").unwrap());
        assert_eq!(*asked.lock().unwrap(), [&both[..], &both[..]].concat());
    }

    #[test]
    fn what_is_not_pulled_out_is_not_plugged_in() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let host = Host::at(Fake(asked.clone()));
        let Err(error) = host.unplug("mouse") else {
            panic!("there is one");
        };
        assert_eq!(
            format!("{error:#}"),
            "mouse is not unplugged: the host refuses: no mouse"
        );
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}
