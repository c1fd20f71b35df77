-- One decision, in one atomic step: every charge is read, then those are charged whose group has room. With "settle"
-- instead of "take", reservations end; with "renew" they live on. Counters mean what policy/count says; times are
-- microseconds.
--
-- A counter is a hash: s<hundredth> = count (window); t, a (bucket: taken, anchor); c (period of the calendar);
-- f, l, p (greylisting: first, last, passed); w: warned until; r<reservation> = cost:deadline:member. The members of a
-- counter of different ones are a sorted set beside it, by the hundredth in which they were last seen.
local now = tonumber(ARGV[2])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- floor(a * b / m) and the rest, exact up to 2^52 where b <= m.
local function times_over(a, b, m)
  local bits, q, r = {}, 0, 0
  while a > 0 do
    bits[#bits + 1] = a % 2
    a = math.floor(a / 2)
  end
  for i = #bits, 1, -1 do
    q, r = 2 * q, 2 * r
    if r >= m then q, r = q + 1, r - m end
    if bits[i] == 1 then r = r + b end
    if r >= m then q, r = q + 1, r - m end
  end
  return q, r
end

local function width(period) return math.max(math.floor(period / 100), 1) end
local function hundredth(at, period) return math.floor(at / width(period)) end
local function expiry(index, period) return (index + 1) * width(period) + period end
local function text(number) return string.format('%.0f', number) end

local function load(key)
  local raw, state = redis.call('HGETALL', key), { held = {}, slots = {} }
  for i = 1, #raw, 2 do
    local field, value = raw[i], raw[i + 1]
    local kind = string.sub(field, 1, 1)
    if kind == 'r' then
      local cost, deadline, member = string.match(value, '^(%d+):(%d+):(.*)$')
      if tonumber(deadline) > now then
        state.held[field] = { cost = tonumber(cost), member = member }
      end
    elseif kind == 's' then
      state.slots[#state.slots + 1] = { index = tonumber(string.sub(field, 2)), count = tonumber(value) }
    else
      state[field] = tonumber(value)
    end
  end
  table.sort(state.slots, function(x, y) return x.index < y.index end)
  return state
end

local function reserved(state)
  local sum = 0
  for _, hold in pairs(state.held) do sum = sum + hold.cost end
  return sum
end

local function forget_overdue(key, state)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == 'r' and not state.held[field] then redis.call('HDEL', key, field) end
  end
end

local function live_until(key, at)
  local ms = math.max(math.ceil((at - now) / 1000), 0) + 1000
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, text(ms)) end
end

local measures = {}

local function used_in_window(c, s)
  local used = reserved(s)
  for _, slot in ipairs(s.slots) do
    if expiry(slot.index, c.period) > now then used = used + slot.count end
  end
  return used
end

-- `room`: when the cost fits within `most`; -1: never.
measures.window = {
  read = function(c, s) return used_in_window(c, s), c.cost end,
  room = function(c, s, most)
    local left = used_in_window(c, s)
    if left + c.cost <= most then return now end
    if c.cost > most then return -1 end
    for _, slot in ipairs(s.slots) do
      local gone = expiry(slot.index, c.period)
      if gone > now then
        left = left - slot.count
        if left + c.cost <= most then return gone end
      end
    end
    -- The rest is reserved, and leaves as if it were kept now.
    return expiry(hundredth(now, c.period), c.period)
  end,
  add = function(c, s)
    for _, slot in ipairs(s.slots) do
      if expiry(slot.index, c.period) <= now then redis.call('HDEL', c.key, 's' .. text(slot.index)) end
    end
    local index = hundredth(now, c.period)
    redis.call('HINCRBY', c.key, 's' .. text(index), text(c.cost))
    live_until(c.key, expiry(index, c.period))
  end,
}

local function refilled(c, from)
  local q = times_over(c.rate, math.min(math.max(now - from, 0), c.period), c.period)
  return q
end

local function advance(c, s)
  -- Behind a fail-over the clock may be behind the one that set the anchor.
  local taken, anchor = s.t or 0, math.min(s.a or 0, now)
  local periods = now > anchor and math.floor((now - anchor) / c.period) or 0
  if periods > 0 then
    taken = math.max(taken - c.rate * periods, 0)
    anchor = anchor + c.period * periods
  end
  if taken <= refilled(c, anchor) then taken, anchor = 0, math.max(anchor, now) end
  return taken, anchor
end

local function time_for(c, tokens)
  if c.rate == 0 then return c.period end
  local whole = math.floor(c.period / c.rate)
  local q, r = times_over(tokens, c.period - whole * c.rate, c.rate)
  return tokens * whole + q + (r > 0 and 1 or 0)
end

measures.bucket = {
  read = function(c, s)
    local taken, anchor = advance(c, s)
    return math.max(taken - refilled(c, anchor), 0) + reserved(s), c.cost
  end,
  room = function(c, s, most)
    local taken, anchor = advance(c, s)
    local wanted = reserved(s) + c.cost
    if math.max(taken - refilled(c, anchor), 0) + wanted <= most then return now end
    if c.cost > most or c.rate == 0 then return -1 end
    return math.max(now, anchor + time_for(c, taken + wanted - most))
  end,
  add = function(c, s)
    local taken, anchor = advance(c, s)
    redis.call('HSET', c.key, 't', text(taken + c.cost), 'a', text(anchor))
    live_until(c.key, anchor + time_for(c, taken + c.cost))
  end,
}

measures.fixed = {
  read = function(c, s) return (s.c or 0) + reserved(s), c.cost end,
  room = function(c, s, most) return (s.c or 0) + reserved(s) + c.cost <= most and now or c.ends end,
  add = function(c, s)
    redis.call('HINCRBY', c.key, 'c', text(c.cost))
    live_until(c.key, c.ends)
  end,
}

local function first_live(c) return math.floor((now - c.period) / width(c.period)) end

-- As long as newer members alone exceed the limit, older ones have no say in when there is room again.
local function forget_older(c)
  local all = redis.call('ZCARD', c.members)
  while true do
    local oldest = redis.call('ZRANGE', c.members, 0, 0, 'WITHSCORES')[2]
    local count = redis.call('ZCOUNT', c.members, oldest, oldest)
    if all - count <= c.most then return end
    redis.call('ZREMRANGEBYSCORE', c.members, oldest, oldest)
    all = all - count
  end
end

-- How many members count, which of them are reserved, and what the one at hand costs.
local function members_of(c, s)
  local from = first_live(c)
  local held, only_held = {}, 0
  for _, hold in pairs(s.held) do
    if not held[hold.member] then
      held[hold.member] = true
      local seen = redis.call('ZSCORE', c.members, hold.member)
      if not seen or tonumber(seen) < from then only_held = only_held + 1 end
    end
  end
  local seen = redis.call('ZSCORE', c.members, c.member)
  local again = c.cost == 0 or held[c.member] or (seen and tonumber(seen) >= from)
  return redis.call('ZCOUNT', c.members, text(from), '+inf') + only_held, held, again and 0 or 1
end

measures.distinct = {
  read = function(c, s)
    local used, _, cost = members_of(c, s)
    return used, cost
  end,
  room = function(c, s, most)
    local used, held, cost = members_of(c, s)
    if most < c.cost then return -1 end
    local surplus, holds = used + cost - most, 0
    if surplus <= 0 then return now end
    for _ in pairs(held) do holds = holds + 1 end
    local leaving = redis.call('ZRANGEBYSCORE', c.members, text(first_live(c)), '+inf', 'WITHSCORES', 'LIMIT', 0,
                               text(surplus + holds + 1))
    for i = 1, #leaving, 2 do
      if not held[leaving[i]] and leaving[i] ~= c.member then
        surplus = surplus - 1
        if surplus == 0 then return expiry(tonumber(leaving[i + 1]), c.period) end
      end
    end
    return expiry(hundredth(now, c.period), c.period)
  end,
  add = function(c, s)
    local index = hundredth(now, c.period)
    redis.call('ZREMRANGEBYSCORE', c.members, '-inf', '(' .. text(first_live(c)))
    if redis.call('ZCOUNT', c.members, text(index), text(index)) <= c.most then
      local seen = redis.call('ZSCORE', c.members, c.member)
      if not seen or tonumber(seen) < index then redis.call('ZADD', c.members, text(index), c.member) end
      forget_older(c)
    end
    redis.call('HSETNX', c.key, 'd', 1)
    live_until(c.key, expiry(index, c.period))
    live_until(c.members, expiry(index, c.period))
  end,
}

-- 0: new, 1: early, 2: passing, 3: known.
local function sighting(c, s)
  if not s.f then return 0 end
  if s.p == 1 then return now < s.l + c.remember and 3 or 0 end
  if now < s.f + c.delay then return 1 end
  return now < s.f + c.retry_within and 2 or 0
end

measures.greylist = {
  read = function(c, s)
    local state = sighting(c, s)
    return 0, 0, state >= 2, state
  end,
  room = function(c, s)
    local state = sighting(c, s)
    return state >= 2 and now or (state == 1 and s.f or now) + c.delay
  end,
  add = function(c, s)
    local state = sighting(c, s)
    local first, passed = s.f or now, s.p or 0
    if state == 0 then first, passed = now, 0 elseif state ~= 1 then passed = 1 end
    redis.call('HSET', c.key, 'f', text(first), 'l', text(now), 'p', passed)
    live_until(c.key, passed == 1 and now + c.remember or first + math.max(c.delay, c.retry_within))
  end,
}

-- From ARGV at `at`: measure, four numbers of it, most, cost, group, flags, warn_at, again, member.
local kArguments = 12
local function charge_from(at, key, members)
  local c = { measure = ARGV[at], key = key, members = members, most = tonumber(ARGV[at + 5]),
              cost = tonumber(ARGV[at + 6]), group = ARGV[at + 7], warn_at = tonumber(ARGV[at + 9]),
              again = tonumber(ARGV[at + 10]), member = ARGV[at + 11] }
  local flags = tonumber(ARGV[at + 8])
  c.even_if_full, c.reserve, c.pardoned = flags % 2 == 1, flags % 4 >= 2, flags >= 4
  local p = { tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]) }
  if c.measure == 'fixed' then
    c.ends = p[1]
  elseif c.measure == 'greylist' then
    c.delay, c.retry_within, c.remember = p[1], p[2], p[3]
  else
    c.period, c.rate = p[1], p[2]
  end
  return c
end

local function period_end(c)
  if c.measure == 'fixed' then return c.ends end
  return now + (c.measure == 'greylist' and c.remember or c.period)
end

-- What a counter was called before, unless there is one of the new name. While something is reserved under the old
-- name it serves for the new one.
local function carry_over(c, old, old_members)
  if old == c.key or redis.call('EXISTS', c.key) == 1 or redis.call('EXISTS', old) == 0 then return false end
  if next(load(old).held) then
    c.key, c.members = old, old_members
    return true
  end
  redis.call('RENAME', old, c.key)
  if redis.call('EXISTS', old_members) == 1 then redis.call('RENAME', old_members, c.members) end
  return false
end

-- Behind the charges, since what counts though there is no room takes room all the same.
local function tell_room(charges, charged, result)
  for i, c in ipairs(charges) do
    if not c.fits or c.even_if_full then
      local state = charged[c.key] and load(c.key) or c.state
      result[i + 1][4] = measures[c.measure].room(c, state, c.most - c.again)
    end
  end
end

local function take()
  local deadline, id, admit = now + tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1'
  local charges, full, charged, any_full, result = {}, {}, {}, false, { now }
  for i = 1, #KEYS / 4 do
    local c = charge_from(6 + (i - 1) * kArguments, KEYS[4 * i - 3], KEYS[4 * i - 2])
    c.renamed = carry_over(c, KEYS[4 * i - 1], KEYS[4 * i])
    local s = load(c.key)
    local used, cost, fits, state = measures[c.measure].read(c, s)
    if fits == nil then fits = used + cost <= c.most end
    any_full = any_full or not fits
    c.state, c.used, c.adds, c.fits = s, used, cost, fits
    charges[i] = c
    result[i + 1] = { used, cost, fits and 1 or 0, now, 0, state or 0, c.renamed and 1 or 0 }
  end
  for i, c in ipairs(charges) do
    if not c.fits and not (c.pardoned and not charges[i + 1].fits) then full[c.group] = true end
  end
  for i, c in ipairs(charges) do
    if c.cost > 0 and (c.even_if_full or (admit and not full[c.group])) then
      forget_overdue(c.key, c.state)
      charged[c.key] = true
      if c.reserve then
        redis.call('HSET', c.key, 'r' .. id .. '.' .. i, text(c.cost) .. ':' .. text(deadline) .. ':' .. c.member)
        live_until(c.key, deadline)
      else
        measures[c.measure].add(c, c.state)
      end
      if c.warn_at > 0 and c.used + c.adds >= c.warn_at and now >= (c.state.w or 0) then
        result[i + 1][5] = 1
        redis.call('HSET', c.key, 'w', text(period_end(c)))
        live_until(c.key, period_end(c))
      end
    end
  end
  if any_full then tell_room(charges, charged, result) end
  return result
end

-- What is kept and was given back already counts all the same; not so where the first attempt may have counted it.
local function settle()
  local keep, again = ARGV[3] == '1', ARGV[4] == '1'
  for i = 1, #KEYS / 2 do
    local at = 5 + (i - 1) * (kArguments + 1)
    local c = charge_from(at + 1, KEYS[2 * i - 1], KEYS[2 * i])
    local held = redis.call('HDEL', c.key, ARGV[at]) == 1
    if keep and (held or not again) then measures[c.measure].add(c, load(c.key)) end
  end
  return now
end

-- Those that are still there. Another host may have given back what was not renewed in time.
local function renew()
  local deadline = text(now + tonumber(ARGV[3]))
  for i, key in ipairs(KEYS) do
    local held = redis.call('HGET', key, ARGV[3 + i])
    if held then
      redis.call('HSET', key, ARGV[3 + i], (string.gsub(held, '^(%d+):%d+:', '%1:' .. deadline .. ':')))
      live_until(key, tonumber(deadline))
    end
  end
  return now
end

local function forget()
  for _, key in ipairs(KEYS) do redis.call('DEL', key) end
  return now
end

local commands = { take = take, settle = settle, renew = renew, forget = forget }
return commands[ARGV[1]]()
