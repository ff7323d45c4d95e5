//! Inner loops over slices, compiled for several instruction sets and selected at run time.
//!
//! The build targets baseline x86-64, so each loop is compiled three times: for AVX-512, for AVX2
//! with FMA, and portable. The loops are written so that the compiler vectorizes them (fixed lanes,
//! no calls, no branches inside).
#![allow(unsafe_code)]

/// Defines a function whose body is compiled for each instruction set.
macro_rules! simd {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        pub(crate) fn $name($($arg: $type),*) $(-> $ret)? {
            #[inline(always)]
            fn portable($($arg: $type),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                fn avx512($($arg: $type),*) $(-> $ret)? {
                    portable($($arg),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $ret)? {
                    portable($($arg),*)
                }

                match $crate::Instructions::chosen() {
                    // SAFETY: the CPU supports the selected instruction set.
                    $crate::Instructions::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::Instructions::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::Instructions::Portable => {}
                }
            }
            portable($($arg),*)
        }
    };
}

mod cross_entropy;
mod dropout;
mod exp;
mod gelu;
mod lanes;
mod layer_norm;
mod rms_norm;
mod rotary;
mod softcap;
mod softmax;
mod sum;
mod swiglu;

pub(crate) use cross_entropy::{log_sum_exp, log_sum_exp_backward, log_sum_exp_gradient};
pub(crate) use dropout::drop_out;
pub(crate) use gelu::{gelu, gelu_backward, gelu_tanh, gelu_tanh_backward};
pub(crate) use layer_norm::{layer_norm, layer_norm_backward, layer_norm_weight};
pub(crate) use rms_norm::{rms_norm, rms_norm_backward, rms_norm_weight};
pub(crate) use rotary::rotate;
pub(crate) use softcap::softcap;
pub(crate) use softmax::{hide, softmax, softmax_backward};
pub(crate) use sum::add;
pub(crate) use swiglu::{swiglu, swiglu_backward};
