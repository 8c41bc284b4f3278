-- Decides any number of checks in one call, in order, each all or nothing: a check that is denied writes nothing.
--
-- KEYS    every counter once; all string values
-- ARGV[1] MessagePack array of integers:
--           not_after           ms of this server's time past which nothing may be written; 0 = no bound
--           per check           mode (0 consume, 1 peek, 2 report), cost (1 .. 2^31-1), number of evaluations
--           per evaluation      index into KEYS (from 1), algorithm, shadow (0 or 1), limit, p1, p2
-- ARGV[2] this server's time in ms, in tests only
-- RETURN  MessagePack array of integers:
--           now                 this server's time in ms; it stands alone when the call came too late
--           per check           1 allowed, 0 denied
--           per evaluation      verdict, remaining, reset_ms, retry_ms (-1: waiting does not help)
-- INVARIANT no counter is written without a time to live, and writes happen only after every check of the call
--           has been decided, so an error leaves no trace.

local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local ALLOWED, DENIED, COST_EXCEEDS_LIMIT, NEVER = 0, 1, 2, -1
local PEEK, REPORT = 1, 2
local ALGORITHMS = {}

--[[ALGORITHMS]]

local now
local slack = 0
if ARGV[2] then
  now = tonumber(ARGV[2])
  slack = 86400000 -- a test's clock stands while the server's runs; its counters must not expire by the latter
else
  local time = redis.call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local args = cmsgpack.unpack(ARGV[1])
if args[1] > 0 and now > args[1] then return cmsgpack.pack({now}) end

local raw = redis.call('MGET', unpack(KEYS))
local states, dirty, reply, size = {}, {}, {now}, 1
local at, last = 2, #args

while at <= last do
  local mode, cost, count = args[at], args[at + 1], args[at + 2]
  if not (cost >= 1 and cost <= 2147483647 and cost == floor(cost)) then
    return redis.error_reply('ERR ratelimit: cost is not an integer from 1 to 2^31-1')
  end
  at = at + 3
  local first, allowed = at, true
  local verdicts = size + 1
  size = verdicts

  for _ = 1, count do
    local index = args[at]
    local state = states[index]
    if state == nil then
      state = raw[index] and {cmsgpack.unpack(raw[index])} or {}
      states[index] = state
    end
    local verdict, remaining, reset, retry =
      ALGORITHMS[args[at + 1]].decide(state, now, cost, args[at + 3], args[at + 4], args[at + 5])
    if verdict ~= ALLOWED and args[at + 2] == 0 then allowed = false end
    reply[size + 1], reply[size + 2], reply[size + 3], reply[size + 4] = verdict, remaining, reset, retry
    size = size + 4
    at = at + 6
  end

  if allowed or mode == REPORT then
    local slot = verdicts
    for position = first, at - 6, 6 do
      if reply[slot + 1] == ALLOWED or mode == REPORT then
        local index = args[position]
        local state = states[index]
        if mode == PEEK then state = {unpack(state)} else dirty[index] = position end
        reply[slot + 2], reply[slot + 3] = ALGORITHMS[args[position + 1]].charge(
          state, now, cost, args[position + 3], args[position + 4], args[position + 5])
        if mode == REPORT then reply[slot + 1], reply[slot + 4] = ALLOWED, 0 end
      end
      slot = slot + 4
    end
    allowed = true
  end
  reply[verdicts] = allowed and 1 or 0
end
if at ~= last + 1 then return redis.error_reply('ERR ratelimit: arguments end inside a check') end

for index, position in pairs(dirty) do
  local state = states[index]
  local life = ALGORITHMS[args[position + 1]].life(state, now, args[position + 3], args[position + 4], args[position + 5])
  redis.call('SET', KEYS[index], cmsgpack.pack(unpack(state)), 'PX', life + slack)
end
return cmsgpack.pack(reply)
