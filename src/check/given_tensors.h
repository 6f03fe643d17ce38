// The tensors that somebody gives to a bare recurrence, by their names, held against what the rule uses.
//
//     q, k             (B,T,G,K)   G key heads; H is a multiple of G
//     v                (B,T,H,V)
//     log_alpha        (B,T,H), with channel-wise decay (B,T,H,K); absent: 0
//     log_mu           (B,T,H), with channel-wise decay also (B,T,H,K); absent: −∞
//     beta, eta        (B,T,H); absent: 1. eta is a momentum rule's
//     p                (B,T,H,K), a delta rule's; absent: αk
//     initial_S, _M    (N,H,K,V); absent: 0. N = B without cu_seqlens. M is a momentum rule's
//     cu_seqlens       int32 (N+1), as scan/chunk.h
//     do               (B,T,H,V), asks for gradients; d_final_S, d_final_M (N,H,K,V) with it; absent: 0
#pragma once

#include "check/rule_recurrence.h"
#include "interop/safetensors.h"

namespace mdnlab {

std::string sizes_text(at::IntArrayRef sizes);  // [2,37,4,64]

// Returns the tensors that the rule uses; one that it does not use may be given where it is neutral
// (log_alpha 0, log_mu −∞, eta 1, p 0, a state 0). Code::usage, naming the tensor: q, k or v missing; a name
// that is none of the above; a dtype that is not floating (cu_seqlens: int32); NaN or an infinity, with its
// index (a log-gate may be −∞); a log-gate above 0; a rank of log_alpha or log_mu that the rule's decay does
// not have; d_final_S or d_final_M without do; one that is not neutral and that the rule does not use. Sizes
// are left to scan::validate.
TensorMap used_tensors(const RuleRecurrence& recurrence, const TensorMap& given);

}  // namespace mdnlab
