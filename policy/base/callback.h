#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace replygate {

// A std::function that returns nothing and keeps what it calls within itself, up to `kRoom` octets, so that a decision
// need not ask for memory. Larger ones are on the heap. Calling an empty one is an error of ours.
template <typename Signature, std::size_t kRoom = 48>
class Callback;

template <typename... Arguments, std::size_t kRoom>
class Callback<void(Arguments...), kRoom> {
 public:
  Callback() = default;
  Callback(std::nullptr_t) {}  // NOLINT(google-explicit-constructor): as std::function has it
  template <typename F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> &&
             std::is_invocable_v<std::remove_cvref_t<F>&, Arguments...>)
  Callback(F&& f) : ops_(&kOps<std::remove_cvref_t<F>>) {  // NOLINT(google-explicit-constructor)
    using Kept = std::remove_cvref_t<F>;
    if constexpr (kFits<Kept>) {
      ::new (room()) Kept(std::forward<F>(f));
    } else {
      ::new (room()) Kept*(new Kept(std::forward<F>(f)));
    }
  }
  Callback(const Callback& other) : ops_(other.ops_) {
    if (ops_ != nullptr) ops_->copy(room(), other.room());
  }
  Callback(Callback&& other) noexcept : ops_(std::exchange(other.ops_, nullptr)) {
    if (ops_ != nullptr) ops_->move(room(), other.room());
  }
  Callback& operator=(const Callback& other) {
    if (this != &other) *this = Callback(other);
    return *this;
  }
  Callback& operator=(Callback&& other) noexcept {
    if (this == &other) return *this;
    reset();
    ops_ = std::exchange(other.ops_, nullptr);
    if (ops_ != nullptr) ops_->move(room(), other.room());
    return *this;
  }
  ~Callback() { reset(); }

  void operator()(Arguments... arguments) const { ops_->call(room(), std::forward<Arguments>(arguments)...); }
  explicit operator bool() const { return ops_ != nullptr; }

 private:
  struct Ops {
    void (*call)(void* kept, Arguments&&... arguments);
    void (*copy)(void* to, const void* from);
    void (*move)(void* to, void* from) noexcept;  // what was there is gone then
    void (*destroy)(void* kept) noexcept;
  };

  template <typename F>
  static constexpr bool kFits =
      sizeof(F) <= kRoom && alignof(F) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<F>;

  template <typename F>
  static F& kept(void* room) {
    if constexpr (kFits<F>) {
      return *static_cast<F*>(room);
    } else {
      return **static_cast<F**>(room);
    }
  }

  template <typename F>
  static constexpr Ops kOps = {
      [](void* room, Arguments&&... arguments) { kept<F>(room)(std::forward<Arguments>(arguments)...); },
      [](void* to, const void* from) {
        const F& other = kept<F>(const_cast<void*>(from));
        if constexpr (kFits<F>) {
          ::new (to) F(other);
        } else {
          ::new (to) F*(new F(other));
        }
      },
      [](void* to, void* from) noexcept {
        if constexpr (kFits<F>) {
          ::new (to) F(std::move(kept<F>(from)));
          kept<F>(from).~F();
        } else {
          ::new (to) F*(*static_cast<F**>(from));
        }
      },
      [](void* room) noexcept {
        if constexpr (kFits<F>) {
          kept<F>(room).~F();
        } else {
          delete &kept<F>(room);
        }
      },
  };

  void* room() const { return const_cast<std::byte*>(room_); }
  void reset() noexcept {
    if (ops_ != nullptr) std::exchange(ops_, nullptr)->destroy(room());
  }

  alignas(std::max_align_t) std::byte room_[kRoom];
  const Ops* ops_ = nullptr;
};

}  // namespace replygate
