//! Keys in the kernel's keyring of the calling thread, where dm-crypt takes them from.
#![allow(unsafe_code)] // add_key and keyctl have no wrapper in the crates that are used here

use std::ffi::CString;
use std::io;
use std::marker::PhantomData;

use crate::error::{Code, Context, Error, Result};

/// A key of type `logon` in the calling thread's own keyring: the kernel uses it, and nobody can read it back.
/// It is taken out of the keyring when dropped; what the kernel has made of it by then (a dm-crypt map) stays.
///
/// Bound to its thread (`!Send`): another thread has another keyring.
pub struct ThreadKey {
    serial: libc::c_long,
    thread: PhantomData<*const ()>,
}

impl ThreadKey {
    /// Adds the key `description`, which has the form `SERVICE:NAME`, with the bytes of `key`. An existing one of
    /// this description is replaced.
    ///
    /// # Errors
    /// The kernel has no keyrings, or the quota of keys is used up.
    pub fn add(description: &str, key: &[u8]) -> Result<ThreadKey> {
        let object = || format!("kernel key {description}");
        let name = CString::new(description).context(Code::Kernel, object())?;
        // SAFETY: add_key(2) reads two strings that end in NUL (a C literal; `name`, which lives until after the
        // call) and `key.len()` bytes at `key`'s address, which the slice guarantees. It writes no memory of ours.
        let serial = unsafe {
            libc::syscall(
                libc::SYS_add_key,
                c"logon".as_ptr(),
                name.as_ptr(),
                key.as_ptr(),
                key.len(),
                libc::c_long::from(libc::KEY_SPEC_THREAD_KEYRING),
            )
        };
        if serial < 0 {
            return Err(Error::new(Code::Kernel, object()).because(io::Error::last_os_error()));
        }
        Ok(ThreadKey { serial, thread: PhantomData })
    }
}

impl Drop for ThreadKey {
    fn drop(&mut self) {
        // SAFETY: keyctl(KEYCTL_UNLINK) takes two key serials by value and touches no memory of ours. A failure
        // (the key is gone already) leaves nothing to do; the keyring ends with the thread in any case.
        unsafe {
            libc::syscall(
                libc::SYS_keyctl,
                libc::c_long::from(libc::KEYCTL_UNLINK),
                self.serial,
                libc::c_long::from(libc::KEY_SPEC_THREAD_KEYRING),
            );
        }
    }
}
