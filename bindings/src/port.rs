//! One end of a line between a rank and its workers, for `girih.futures`: messages that stay whole and in order.
//!
//! What can be sent at once is sent with the interpreter locked: letting another thread in for the microsecond that it
//! takes costs a change of threads, there and back. Messages are received unlocked, as many as there are, so that a
//! burst of them is one change of threads.
//! Never here: what messages mean, processes.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair, sockopt};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many messages are received together; those who wait for the first should not wait for all.
const TOGETHER_MAX: usize = 64;

/// An end of a line.
#[pyclass(frozen, name = "Port", module = "girih._native")]
pub(crate) struct PyPort {
    file: Mutex<Option<Arc<OwnedFd>>>,
    room: Mutex<Box<[u8]>>,
}

#[pymethods]
impl PyPort {
    #[staticmethod]
    #[pyo3(signature = (message_bytes, queue_bytes, /))]
    fn pair(message_bytes: usize, queue_bytes: usize) -> PyResult<(PyPort, PyPort)> {
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(io::Error::from)?;
        for end in [&one, &other] {
            sockopt::set_socket_send_buffer_size(end, queue_bytes).map_err(io::Error::from)?;
        }
        Ok((PyPort::new(one, message_bytes), PyPort::new(other, message_bytes)))
    }

    fn fileno(&self) -> PyResult<i32> {
        Ok(self.file()?.as_raw_fd())
    }

    #[pyo3(signature = (data, /, *, wait = false))]
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyBytes>, wait: bool) -> PyResult<bool> {
        let (file, bytes) = (self.file()?, data.as_bytes());
        match post(&file, bytes, SendFlags::DONTWAIT) {
            Err(Errno::AGAIN) if !wait => Ok(false),
            Err(Errno::AGAIN) => {
                py.detach(|| post(&file, bytes, SendFlags::empty())).map_err(io::Error::from)?;
                Ok(true)
            }
            sent => Ok(sent.map_err(io::Error::from).map(|()| true)?),
        }
    }

    #[pyo3(signature = (spin_us = None, /))]
    fn receive<'py>(&self, py: Python<'py>, spin_us: Option<u64>) -> PyResult<Bound<'py, PyList>> {
        let file = self.file()?;
        let spin = spin_us.map(Duration::from_micros);
        let found = py.detach(|| {
            let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            gather(&file, &mut room, spin)
        });
        PyList::new(py, found.map_err(io::Error::from)?.iter().map(|message| PyBytes::new(py, message)))
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let file = self.file()?;
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let found = look(&file, &mut room, RecvFlags::DONTWAIT).map_err(io::Error::from)?;
        Ok(found.filter(|&length| length > 0).map(|length| PyBytes::new(py, &room[..length])))
    }

    fn close(&self) {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl PyPort {
    fn new(file: OwnedFd, message_bytes: usize) -> PyPort {
        PyPort { file: Mutex::new(Some(Arc::new(file))), room: Mutex::new(vec![0; message_bytes].into_boxed_slice()) }
    }

    fn file(&self) -> io::Result<Arc<OwnedFd>> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.clone().ok_or_else(|| Errno::BADF.into())
    }
}

/// Sends a message whole. A peer that is gone is an error and no signal.
fn post(file: &OwnedFd, message: &[u8], flags: SendFlags) -> Result<(), Errno> {
    loop {
        match send(file, message, flags | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            sent => return sent.map(|_| ()),
        }
    }
}

/// The length of the next message, now in `room`; 0 if the line has ended, `None` if there is no message yet.
fn look(file: &OwnedFd, room: &mut [u8], flags: RecvFlags) -> Result<Option<usize>, Errno> {
    loop {
        match recv(file, &mut *room, flags) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(None),
            found => return found.map(|(length, _)| Some(length)),
        }
    }
}

/// The messages that are there. Without one, looks again for `spin` and then sleeps until one comes; not at all if
/// `spin` is `None`. Nothing if the line has ended.
fn gather(file: &OwnedFd, room: &mut [u8], spin: Option<Duration>) -> Result<Vec<Box<[u8]>>, Errno> {
    let mut found = Vec::new();
    let mut begin = None;
    while found.len() < TOGETHER_MAX {
        match look(file, room, RecvFlags::DONTWAIT)? {
            Some(0) => break,
            Some(length) => found.push(room[..length].into()),
            None if !found.is_empty() => break,
            None => {
                let Some(spin) = spin else { break };
                if begin.get_or_insert_with(Instant::now).elapsed() < spin {
                    // Whoever is to send the message may want this core.
                    std::thread::yield_now();
                    continue;
                }
                match look(file, room, RecvFlags::empty())? {
                    Some(length) if length > 0 => found.push(room[..length].into()),
                    _ => break,
                }
            }
        }
    }
    Ok(found)
}
