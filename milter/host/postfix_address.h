#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "milter/host/postfix_config.h"
#include "milter/host/postfix_text.h"
#include "policy/load/socket.h"
#include "policy/rules/policy.h"

namespace replygate {

// Our socket as Postfix must name it; "" where it cannot: outside of its chroot, or a descriptor.
std::string postfix_address(const SocketAddress& listen, const PostfixSettings& settings);
// Of the first of [milter] listen.
std::string postfix_address(const Policy& policy, const PostfixSettings& settings);
// Of [policy_service]; "" where there is none.
std::string postfix_service_address(const Policy& policy, const PostfixSettings& settings);

// An address of main.cf as the host sees it: paths from the root, no names for loopback.
std::string plain_address(std::string_view address, const PostfixSettings& settings);

// The milter that is us; null for none.
const PostfixServer* own_milter(const std::vector<PostfixServer>& milters, const PostfixSettings& settings,
                                const Policy& policy);

// Some address of ours, now or before: it is listened at, written down by setup, or is called replygate.
bool was_own(std::string_view address, const PostfixSettings& settings, const Policy& policy);

// A restriction that asks our policy service, where it listens now or where it no longer does.
enum class OwnDoor : unsigned char { none, present, stale };
OwnDoor own_door(std::string_view restriction, const PostfixSettings& settings, const Policy& policy);

}  // namespace replygate
