//! Threads that evaluate, and the order of what they print: that of the input, however many there are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard};

use super::blocks::{Block, Sink, Stopped};
use super::correlated::Correlating;
use super::evaluator::{Evaluated, Evaluator, Rules};

/// Bytes that are gathered before they are printed.
const OUT_BYTES: usize = 256 << 10;

/// As many are printed at once, without being gathered.
const ENOUGH_BYTES: usize = OUT_BYTES / 8;

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Records read.
    pub records: u64,
    /// Events parsed.
    pub events: u64,
    /// What was wrong with them.
    pub problems: u64,
    /// Lines printed.
    pub matches: u64,
}

/// Where lines go, in order.
pub struct Printer {
    out: File,
    buffer: Vec<u8>,
    /// Whether somebody may be waiting for each line.
    prompt: Prompt,
    /// What was counted so far.
    pub counts: Counts,
    /// Takes what correlations need.
    pub correlating: Option<Correlating>,
    /// Names of the sources, by index.
    pub files: BTreeMap<u64, String>,
    /// Why printing failed.
    pub error: Option<std::io::Error>,
}

/// Whether lines are printed as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// In large pieces.
    No,
    /// After each block: the input is a pipe.
    Yes,
}

impl Printer {
    /// Prints to `out`.
    pub fn new(out: File, prompt: Prompt, correlating: Option<Correlating>) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(2 * OUT_BYTES),
            prompt,
            counts: Counts::default(),
            correlating,
            files: BTreeMap::new(),
            error: None,
        }
    }

    fn take(&mut self, block: &Block, evaluated: &mut Evaluated) -> Result<(), Stopped> {
        self.counts.records += evaluated.records;
        self.counts.events += evaluated.events;
        self.counts.problems += evaluated.problems;
        if let Some(correlating) = &mut self.correlating
            && !evaluated.gathered.is_empty()
        {
            let source = &block.source;
            self.files
                .entry(source.index)
                .or_insert_with(|| source.name.clone());
            correlating.add(&mut evaluated.gathered);
        }
        self.print(evaluated.lines.as_bytes(), evaluated.matches)
    }

    /// Prints lines.
    pub fn print(&mut self, lines: &[u8], count: u64) -> Result<(), Stopped> {
        self.counts.matches += count;
        if self.buffer.is_empty() && lines.len() >= ENOUGH_BYTES {
            return self.write(lines);
        }
        self.buffer.extend_from_slice(lines);
        if self.buffer.len() >= OUT_BYTES || self.prompt == Prompt::Yes {
            return self.flush();
        }
        Ok(())
    }

    /// Writes out what is gathered.
    pub fn flush(&mut self) -> Result<(), Stopped> {
        let gathered = std::mem::take(&mut self.buffer);
        let outcome = self.write(&gathered);
        self.buffer = gathered;
        self.buffer.clear();
        outcome
    }

    fn write(&mut self, lines: &[u8]) -> Result<(), Stopped> {
        self.out.write_all(lines).map_err(|error| {
            self.error = Some(error);
            Stopped
        })
    }
}

/// Evaluates on the thread that reads.
pub struct Alone<'p, 'r> {
    evaluator: Evaluator<'r>,
    printer: &'p mut Printer,
    evaluated: Evaluated,
    spare: Option<Block>,
}

impl<'p, 'r> Alone<'p, 'r> {
    /// Evaluates by `rules` and prints.
    pub fn new(rules: &'r Rules, printer: &'p mut Printer) -> Self {
        Self {
            evaluator: Evaluator::new(rules),
            printer,
            evaluated: Evaluated::default(),
            spare: None,
        }
    }
}

impl Sink for Alone<'_, '_> {
    fn take(&mut self, block: Block) -> Result<(), Stopped> {
        clear(&mut self.evaluated);
        self.evaluator.evaluate(&block, &mut self.evaluated);
        self.printer.take(&block, &mut self.evaluated)?;
        if block.is_ordinary() {
            self.spare = Some(block);
        }
        Ok(())
    }

    fn spare(&mut self) -> Option<Block> {
        self.spare.take()
    }
}

fn clear(evaluated: &mut Evaluated) {
    let mut lines = std::mem::take(&mut evaluated.lines);
    let mut gathered = std::mem::take(&mut evaluated.gathered);
    lines.clear();
    gathered.clear();
    *evaluated = Evaluated {
        lines,
        gathered,
        ..Evaluated::default()
    };
}

/// Runs `read` with a sink that evaluates on `threads` threads. What is printed has the order of the input.
pub fn with_threads<T>(
    threads: usize,
    rules: &Rules,
    printer: &mut Printer,
    read: impl FnOnce(&mut dyn Sink) -> T,
) -> T {
    let shared = Shared {
        ordered: Mutex::new(Ordered {
            next: 0,
            waiting: BTreeMap::new(),
            printer,
            stopped: false,
        }),
        moved: Condvar::new(),
        spare: Mutex::new(Vec::new()),
        ahead_max: threads as u64 * 4,
    };
    std::thread::scope(|scope| {
        let (work, blocks) = sync_channel::<(u64, Block)>(threads * 2);
        let blocks = std::sync::Arc::new(Mutex::new(blocks));
        for _ in 0..threads {
            let (shared, blocks) = (&shared, std::sync::Arc::clone(&blocks));
            scope.spawn(move || evaluate_all(rules, &blocks, shared));
        }
        // Only the threads hold it now: should they all end early, sending fails.
        drop(blocks);
        read(&mut Spread {
            work,
            sent: 0,
            shared: &shared,
        })
    })
}

struct Shared<'p> {
    ordered: Mutex<Ordered<'p>>,
    /// The next block's turn has come.
    moved: Condvar,
    spare: Mutex<Vec<Block>>,
    /// Blocks that may be finished before their turn, so that memory is bounded.
    ahead_max: u64,
}

struct Ordered<'p> {
    next: u64,
    waiting: BTreeMap<u64, (Block, Evaluated)>,
    printer: &'p mut Printer,
    stopped: bool,
}

struct Spread<'s, 'p> {
    work: SyncSender<(u64, Block)>,
    sent: u64,
    shared: &'s Shared<'p>,
}

impl Sink for Spread<'_, '_> {
    fn take(&mut self, block: Block) -> Result<(), Stopped> {
        self.work.send((self.sent, block)).map_err(|_| Stopped)?;
        self.sent += 1;
        Ok(())
    }

    fn spare(&mut self) -> Option<Block> {
        lock(&self.shared.spare).pop()
    }
}

fn evaluate_all(rules: &Rules, blocks: &Mutex<Receiver<(u64, Block)>>, shared: &Shared<'_>) {
    let mut evaluator = Evaluator::new(rules);
    loop {
        let Ok((number, block)) = lock(blocks).recv() else {
            return;
        };
        let mut evaluated = Evaluated::default();
        evaluator.evaluate(&block, &mut evaluated);
        let mut ordered = lock(&shared.ordered);
        while !ordered.stopped && number >= ordered.next + shared.ahead_max {
            ordered = shared
                .moved
                .wait(ordered)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        ordered.waiting.insert(number, (block, evaluated));
        let mut done = Vec::new();
        while !ordered.stopped {
            let next = ordered.next;
            let Some((block, mut evaluated)) = ordered.waiting.remove(&next) else {
                break;
            };
            ordered.next += 1;
            ordered.stopped = ordered.printer.take(&block, &mut evaluated).is_err();
            done.push(block);
        }
        let stopped = ordered.stopped;
        drop(ordered);
        shared.moved.notify_all();
        if stopped {
            return;
        }
        lock(&shared.spare).extend(done.into_iter().filter(Block::is_ordinary));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
