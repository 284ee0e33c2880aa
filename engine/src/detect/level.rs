//! Which vector instructions the processor has.

/// A level that the processor was seen to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(Instructions);

/// Sets of instructions that the searches are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instructions {
    /// Those that every processor has.
    Plain,
    /// AVX2 and BMI2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with F, BW and VBMI, and BMI2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The instructions, which may be used.
    #[inline]
    pub(super) fn instructions(self) -> Instructions {
        self.0
    }

    /// The best level of this processor.
    pub(super) fn best() -> Self {
        Self::available()
            .last()
            .copied()
            .unwrap_or(Self(Instructions::Plain))
    }

    /// All levels of this processor, the best last.
    pub(super) fn available() -> Vec<Self> {
        let mut levels = vec![Self(Instructions::Plain)];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("bmi2") {
                levels.push(Self(Instructions::Avx2));
                if has!("avx512f") && has!("avx512bw") && has!("avx512vbmi") {
                    levels.push(Self(Instructions::Avx512));
                }
            }
        }
        levels
    }
}
