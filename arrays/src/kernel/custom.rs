//! Rows that code of its own computes: what such code sees, and what it promises.
//!
//! A kernel promises that what it writes for a row does not depend on which other rows it is given with, so that
//! tiles leave no trace. What cannot promise it makes one row of its operands, which one rank then has.
//! Never here: what any such kernel computes.

use std::fmt;
use std::ops::Range;

/// What a kernel does; a mistake in the values is told in NumPy's words.
pub type Run = Box<dyn Fn(&Rows<'_>, &mut [u8]) -> Result<(), String> + Send + Sync>;

/// Code that computes rows, with what tells it from others.
pub struct Kernel {
    name: &'static str,
    /// Parameters that the result depends on, in words; alike on all ranks.
    parameters: String,
    /// Whether values can be wrong.
    may_fail: bool,
    run: Run,
}

/// What a kernel sees.
pub struct Rows<'a> {
    /// The rows to be written, counted over all ranks.
    pub rows: Range<usize>,
    /// The same rows of the aligned inputs.
    pub aligned: Vec<&'a [u8]>,
    /// The other inputs, all of them.
    pub whole: Vec<&'a [u8]>,
}

impl Kernel {
    /// A kernel that runs on tiles and takes all values.
    pub fn new(
        name: &'static str,
        parameters: String,
        run: impl Fn(&Rows<'_>, &mut [u8]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Kernel {
        Kernel { name, parameters, may_fail: false, run: Box::new(run) }
    }

    /// The same kernel, which may find values wrong.
    pub fn failing(self) -> Kernel {
        Kernel { may_fail: true, ..self }
    }

    /// What tasks are called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether values can be wrong.
    pub fn may_fail(&self) -> bool {
        self.may_fail
    }

    /// The name with the parameters.
    pub fn described(&self) -> String {
        format!("{} {}", self.name, self.parameters)
    }

    /// Computes rows.
    ///
    /// # Errors
    /// What is wrong with the values, in NumPy's words.
    pub fn run(&self, rows: &Rows<'_>, out: &mut [u8]) -> Result<(), String> {
        (self.run)(rows, out)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("name", &self.name).field("parameters", &self.parameters).finish()
    }
}
