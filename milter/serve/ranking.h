#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
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
  using Uses = boost::unordered_flat_map<std::string, Use>;

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
  };

  void hear(Rendering& rendering) override;
  Tables first(std::size_t count, Instant now) const;

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Ranking senders_;
  Ranking clients_;
  Ranking rules_;
};

}  // namespace replygate
