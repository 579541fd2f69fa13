#include "buffer_pool.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "allocate.h"
#include "sanitizer.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace seqlight::cpu {
namespace {

constexpr std::size_t kPage = 4096, kHugePage = std::size_t{2} << 20;
constexpr std::size_t kSmallest = std::size_t{64} << 10;  // what is smaller, the C library reuses by itself

struct Buffer {
  void* memory;
  std::size_t size;
};

// Takes what nobody else has taken, and never waits: a forked process may have inherited a lock that nobody opens.
class LockIfFree {
 public:
  explicit LockIfFree(std::atomic_flag& taken) : taken_(taken), mine_(!taken.test_and_set(std::memory_order_acquire)) {}
  ~LockIfFree() {
    if (mine_) taken_.clear(std::memory_order_release);
  }
  LockIfFree(const LockIfFree&) = delete;
  LockIfFree& operator=(const LockIfFree&) = delete;
  explicit operator bool() const { return mine_; }

 private:
  std::atomic_flag& taken_;
  const bool mine_;
};

class BufferPool {
 public:
  // Never destroyed: tensors may outlive every static object.
  static BufferPool& instance() {
    static BufferPool* const pool = new BufferPool;
    return *pool;
  }

  // The kept buffer that fits best, if it wastes less than half of itself, else a new one.
  Buffer acquire(std::size_t bytes) {
    const LockIfFree lock(taken_);
    std::size_t best = kept_.size();
    if (lock)
      for (std::size_t i = 0; i < kept_.size(); ++i)
        if (kept_[i].size >= bytes && kept_[i].size < 2 * bytes &&
            (best == kept_.size() || kept_[i].size < kept_[best].size))
          best = i;
    if (!lock || best == kept_.size()) return allocate(bytes);
    const Buffer buffer = kept_[best];
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(best));
    kept_bytes_ -= buffer.size;
    return buffer;
  }

  void release(const Buffer& buffer) {
    const LockIfFree lock(taken_);
    if (!lock || buffer.size > limit_ || kAddressSanitizer) {
      std::free(buffer.memory);
      return;
    }
    kept_.push_back(buffer);
    kept_bytes_ += buffer.size;
    while (kept_bytes_ > limit_) {  // the oldest first
      kept_bytes_ -= kept_.front().size;
      std::free(kept_.front().memory);
      kept_.erase(kept_.begin());
    }
  }

 private:
  BufferPool() {
    if (const char* text = std::getenv("SEQLIGHT_POOL_MIB"))
      limit_ = std::strtoull(text, nullptr, 10) << 20;
    else
      limit_ = std::min(std::size_t{1} << 30, std::max(std::size_t{256} << 20, physical_memory() / 16));
  }

  // Bytes, 0 if the system does not tell.
  static std::size_t physical_memory() {
#if defined(_SC_PHYS_PAGES)
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    if (pages > 0 && bytes > 0) return static_cast<std::size_t>(pages) * static_cast<std::size_t>(bytes);
#endif
    return 0;
  }

  static Buffer allocate(std::size_t bytes) {
    const std::size_t alignment = bytes >= kHugePage ? kHugePage : kPage;
    const std::size_t size = kAddressSanitizer ? bytes : (bytes + kPage - 1) / kPage * kPage;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, size) != 0) throw std::bad_alloc();
#if defined(__linux__)
    if (bytes >= kHugePage) madvise(memory, size, MADV_HUGEPAGE);  // a hint; fewer and cheaper faults
#endif
    return {memory, size};
  }

  std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
  std::vector<Buffer> kept_;
  std::size_t kept_bytes_ = 0, limit_ = 0;
};

}  // namespace

torch::stable::Tensor pooled_empty(const torch::stable::Tensor& like, std::initializer_list<int64_t> sizes) {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  const std::size_t bytes = static_cast<std::size_t>(count) * like.element_size();
  if (bytes < kSmallest) return empty(like, sizes);
  std::vector<int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * sizes.begin()[i];
  const Buffer buffer = BufferPool::instance().acquire(bytes);
  return torch::stable::from_blob(buffer.memory, sizes, strides, like.device(), like.scalar_type(),
                                  [buffer](void*) { BufferPool::instance().release(buffer); });
}

}  // namespace seqlight::cpu
