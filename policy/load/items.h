#pragma once

#include <algorithm>

#include "policy/load/document.h"

namespace replygate {

// A string, or each string of an array.
template <typename Each>
void each_item(const Node& node, Each each) {
  if (node.kind != Node::Kind::array) return each(node);
  std::ranges::for_each(node.items, each);
}

}  // namespace replygate
