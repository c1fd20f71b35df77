#pragma once

#include <array>
#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "milter/log/rendering.h"

namespace replygate {

// Who sent most in the last five to ten minutes. Bounded: when too many keys came, those that came once are forgotten,
// then new ones are left out. One thread at a time.
class Ranking {
 public:
  struct Row {
    std::string key;
    std::int64_t recipients = 0;
    std::int64_t refused = 0;
  };

  void add(std::string_view key, std::int64_t recipients, std::int64_t refused, Instant now);
  // Descending by recipients, then refusals.
  std::vector<Row> first(std::size_t count, Instant now) const;

 private:
  struct Use {
    std::int64_t recipients = 0;
    std::int64_t refused = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return boost::hash<std::string_view>()(key); }
  };
  using Uses = boost::unordered_flat_map<std::string, Use, Hash, std::equal_to<>>;

  bool make_room();

  Uses present_;
  Uses before_;
  std::int64_t span_ = 0;
  std::size_t left_out_ = 0;  // new keys since room was sought last
};

// The rankings that `top` shows. Any thread.
class Rankings final : public RecordListener {
 public:
  struct Tables {
    std::vector<Ranking::Row> senders;  // the login, or the address
    std::vector<Ranking::Row> clients;
    std::vector<Ranking::Row> rules;  // that refused, or would have
    std::vector<Ranking::Row> keys;   // that limits were compared for, as records show them
  };

  void hear(Rendering& rendering) override;
  Tables first(std::size_t count, Instant now) const;

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Ranking senders_;
  Ranking clients_;
  Ranking rules_;
  Ranking keys_;
};

}  // namespace replygate
