#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/oracle/stranger.h"

namespace replygate::oracle {

using Random = std::mt19937_64;

// A policy made by chance, and the facts that it names.
struct MadePolicy {
  std::string text;
  std::set<std::string> facts;
  bool domains = true;  // the site has domain lists
};

MadePolicy make_policy(Random& random);

// Every talk of the universe that this policy could tell from others; beyond `most` a choice by chance.
std::vector<Talk> talks_for(const MadePolicy& made, std::size_t most, Random& random);

}  // namespace replygate::oracle
