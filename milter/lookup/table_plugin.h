#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// What MySQL, PostgreSQL and LDAP are asked through. Each is a shared object of its own, so that a host needs the
// library of the database that it has, and no other.
namespace replygate {

// What the description of a table says, by name.
using TableParameters = std::map<std::string, std::string>;

// Bounds of one answer.
struct TableBounds {
  std::chrono::milliseconds timeout{2000};
  std::size_t values = 1000;
  std::size_t octets = 100'000;
};

// The values of one answer, within its bounds.
class TableValues {
 public:
  explicit TableValues(const TableBounds& bounds) : bounds_(bounds) {}

  // False where there are too many.
  bool add(std::string_view value) {
    octets_ += value.size();
    too_many_ = values_.size() >= bounds_.values || octets_ > bounds_.octets;
    if (!too_many_) values_.emplace_back(value);
    return !too_many_;
  }
  // There are more than the source gives.
  void give_up() { too_many_ = true; }
  bool too_many() const { return too_many_; }
  const std::vector<std::string>& all() const { return values_; }

 private:
  const TableBounds& bounds_;
  std::vector<std::string> values_;
  std::size_t octets_ = 0;
  bool too_many_ = false;
};

// One connection. Used by one thread at a time; calls wait, about as long as the bounds say.
class TableConnection {
 public:
  TableConnection() = default;
  TableConnection(const TableConnection&) = delete;
  TableConnection& operator=(const TableConnection&) = delete;
  virtual ~TableConnection() = default;

  // A key, or a part of one, as it may stand within the query; while it is connected.
  virtual std::string quoted(std::string_view text) = 0;
  // The same within the search base of LDAP.
  virtual std::string quoted_in_base(std::string_view text) { return quoted(text); }
  // Adds what the query finds, or says why it cannot, for people. `gone`: the connection is of no use any more.
  enum class Asked { well, refused, gone };
  virtual Asked ask(const std::string& query, const std::string& base, TableValues& values, std::string& why) = 0;
};

// What a shared object has under the name "replygate_table": connects, to the first of the hosts that can be reached.
// Null, with the reason in `why`, where that fails.
using OpenTable = TableConnection* (*)(const TableParameters& parameters, const TableBounds& bounds, std::string& why);

}  // namespace replygate
