// The operations of a token, one after the other in a single kernel that has the whole GPU: a block on each
// multiprocessor. Between two operations all blocks meet. Launches in a row cost more than that: a kernel's
// end, the next one's start, its arguments and its code.
//
// When a block has arrived it asks for its weights or its state of the operation behind, whose weights it has
// had brought into the cache an operation earlier, and waits for the others then: memory does not rest while
// blocks meet. Not before it has arrived: an arrival waits for all that its block has asked for.
#include <cstring>

#include "ops/cuda/token_step.cuh"

namespace mdnlab::ops::cuda {

namespace {

constexpr int kKept =
    7;  // operations in shared memory: the one behind, the one at hand, and what is fetched for
constexpr int kPieces = sizeof(Operation) / 16;
static_assert(sizeof(Operation) % 16 == 0 && kPieces <= kProgramThreads);

// Of all blocks of all launches, which have the same number of blocks: each launch adds so many to it, some
// number of times.
__device__ unsigned long long arrivals;

// Where the blocks meet; the first thread speaks for its block.
class Meeting {
 public:
  __device__ Meeting() {
    if (threadIdx.x == 0) awaited_ = read_arrivals(&arrivals) / gridDim.x * gridDim.x;  // before its own
  }
  __device__ void arrive() {
    awaited_ += gridDim.x;
    if (threadIdx.x == 0) add_arrival(&arrivals);
  }
  __device__ void wait() const {
    if (threadIdx.x == 0) wait_for_arrivals(&arrivals, awaited_);
    __syncthreads();
  }

 private:
  unsigned long long awaited_ = 0;
};

struct alignas(16) Shared {
  Operation operations[kKept];
  ProductShared product;
  StepShared step;
};

__device__ const MixerStep& step_of(const Operation& operation) {
  return *reinterpret_cast<const MixerStep*>(operation.bytes);
}
__device__ const RowsProduct& product_of(const Operation& operation) {
  return *reinterpret_cast<const RowsProduct*>(operation.bytes);
}

__device__ uint4 piece_of(const Program& program, int operation) {
  return reinterpret_cast<const uint4*>(program.bytes)[program.at[operation] + threadIdx.x];
}

__global__ void __launch_bounds__(kProgramThreads, 1)
    program_kernel(const __grid_constant__ Program program) {
  Shared& shared = *reinterpret_cast<Shared*>(shared_memory());
  __nv_bfloat16* const s_x = reinterpret_cast<__nv_bfloat16*>(shared_memory() + sizeof(Shared));
  const auto operation = [&](int i) -> Operation& { return shared.operations[i % kKept]; };
  const auto put_piece = [&](int i, const uint4& piece) {
    reinterpret_cast<uint4*>(&operation(i))[threadIdx.x] = piece;
  };
  const bool has_piece = threadIdx.x < kPieces;
  for (int i = 0; i < kKept - 2 && has_piece && i < program.count; ++i) put_piece(i, piece_of(program, i));
  Meeting meeting;
  __syncthreads();

  Fetched fetched;
  FetchedState state;
  const auto is_step = [&](int i) { return i < program.count && operation(i).is_step; };
  // The next product behind operation i.
  const auto next_product = [&](int i) { return is_step(i + 1) ? i + 2 : i + 1; };

  // The operation in front of the first is none, behind which the first is fetched.
#pragma unroll 1
  for (int i = -1; i < program.count; ++i) {
    if (i > 0) meeting.wait();
    const auto end_operation = [&] {
      __syncthreads();
      if (i >= 0 && i + 1 < program.count) meeting.arrive();
    };
    if (i >= 0 && is_step(i)) {
      const MixerStep& step = step_of(operation(i));
      const int last = run_step(step, shared.step, state);
      end_operation();
      if (last >= 0) put_state(step, last, state);
    } else {
      const RowsProduct& in = product_of(operation(i < 0 ? 0 : i));
      const Eights mine = i < 0 ? Eights{0, 0} : eights_of_block(in);
      const __nv_bfloat16* staged = nullptr;
      int done = mine.begin, turn = 0;
#pragma unroll 1
      do {
        const int first = fetched.first, count = fetched.count;
        const OutputPlace at = fetched.at;
        Beside beside = fetched.beside;
        Sums sums = {};
        const bool has_work = i >= 0 && count > 0;
        if (has_work) {
          if (at.n >= 0) {
            const RowsPart& part = in.part[at.part];
            beside.fetch_before(part.output, part, at.n, at.r);
          }
          const __nv_bfloat16* const x = in.part[fetched.part].x;
          if (first == mine.begin || x != staged) {
            if (first > mine.begin) __syncthreads();  // what lies there has been read
            if (x) {
              stage(in, x, s_x);
            } else {
              stage_normed(in, s_x, shared.product);
            }
            staged = x;
          }
          announce(in, first + kNear, min(first + kNear + count, mine.end));
          multiply_all(in, s_x, first, count, fetched, sums);
          write_outputs(in, first, count, at, beside, sums, shared.product.sums[turn]);
          done = first + count, turn ^= 1;
        }
        const bool is_last = done >= mine.end;
        if (is_last) end_operation();
        if (const int next = is_last ? next_product(i) : i; next < program.count) {
          const RowsProduct& behind = product_of(operation(next));
          const Eights of_next = is_last ? eights_of_block(behind) : Eights{done, mine.end};
          fetch(behind, of_next.begin, of_next.end, fetched);
          if (const int later = next_product(next); is_last && later < program.count) {
            const RowsProduct& far = product_of(operation(later));
            const Eights of_far = eights_of_block(far);
            announce(far, of_far.begin, of_far.end);
          }
        }
      } while (done < mine.end);
      // The assembler is told that there is none, where it would keep registers for it all along.
      state = {};
      if (is_step(i + 1)) {
        const MixerStep& step = step_of(operation(i + 1));
        if (static_cast<int>(blockIdx.x) < step_units(step)) fetch_state(step, blockIdx.x, state);
      }
    }
    // Where the operation in front of this one was, which nobody needs any more.
    if (const int ahead = i + kKept - 1; has_piece && ahead < program.count)
      put_piece(ahead, piece_of(program, ahead));
  }
}

}  // namespace

bool Program::add(int is_step, const void* problem, int size) {
  const int pieces = 1 + (size + 15) / 16;
  if (count == kMostOperations || 16 * (end + kPieces) > kProgramBytes) return false;
  Operation* const to = reinterpret_cast<Operation*>(bytes + 16 * end);
  to->is_step = is_step;
  std::memcpy(to->bytes, problem, static_cast<std::size_t>(size));
  at[count++] = static_cast<unsigned short>(end);
  end += pieces;
  return true;
}

bool Program::add(const MixerStep& step) {
  // Its state is fetched while a product runs.
  const bool follows_step =
      count > 0 && reinterpret_cast<const Operation*>(bytes + 16 * at[count - 1])->is_step;
  return !follows_step && add(1, &step, sizeof step);
}

bool Program::add(const RowsProduct& given) {
  RowsProduct product = given;
  product.eights = 0;
  for (int i = 0; i < product.parts; ++i) {
    product.part[i].first = product.eights;
    product.eights += (product.part[i].N + 7) / 8;
  }
  if (product.K > widest) widest = product.K;
  return add(0, &product, static_cast<int>(offsetof(RowsProduct, part) + sizeof(RowsPart) * product.parts));
}

cudaError_t run_program(const Program& program, int multiprocessors, cudaStream_t stream) {
  // More than half of a multiprocessor's, so that two launches are never on it at once.
  const int of_x = kMostOfProgram * (program.widest + kPad) * 2, least = 96 * 1024;
  return launch_on_all(program_kernel, program, multiprocessors, kProgramThreads,
                       static_cast<int>(sizeof(Shared)) + (of_x > least ? of_x : least), stream);
}

}  // namespace mdnlab::ops::cuda
