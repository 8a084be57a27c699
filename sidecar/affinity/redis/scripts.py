"""What must happen in one step on the Redis server. Lua, for 6.2 and up.

Each script returns which of its keys is the session's (1 or 2), and for each key its value and its
PTTL. It ends by reading what it leaves: after a script that writes, 6.2 and 7.0 no longer track a
key unless it is read again last, and an untracked key in a near cache is a stale one.
"""

from __future__ import annotations

import hashlib
from typing import Final

_COMMON: Final = """
local function read(key)
  if redis.call('TYPE', key).ok ~= 'string' then return '' end
  return redis.call('GETRANGE', key, 0, 4095)
end
local function model_of(raw)
  if #raw == 0 or #raw >= 4096 then return nil end
  local ok, value = pcall(cjson.decode, raw)
  if not ok or type(value) ~= 'table' then return nil end
  local named = (type(value.model_name) == 'string' and #value.model_name > 0)
    or (type(value.anchor_model) == 'string' and #value.anchor_model > 0)
  if not named then return nil end
  if type(value.requested_model) == 'string' then return value.requested_model end
  return true
end
local function report(at)
  local lines = {at}
  for _, key in ipairs(KEYS) do
    lines[#lines + 1] = read(key)
    lines[#lines + 1] = redis.call('PTTL', key)
  end
  return lines
end
"""

CLAIM: Final = (
    _COMMON
    + """
-- KEYS: plain, lane.
-- ARGV: requested model, value, ttl in ms, bytes that the sidecar could not read.
local unreadable = ARGV[4]
local function lane_of(raw)
  if unreadable ~= '' and raw == unreadable then return nil end
  return model_of(raw)
end
local plain = lane_of(read(KEYS[1]))
if plain == true or plain == ARGV[1] then return report(1) end
if lane_of(read(KEYS[2])) ~= nil then return report(2) end
if plain == nil then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return report(1)
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return report(2)
"""
)
"""First writer wins; what cannot be read is no writer."""

REPLACE: Final = (
    _COMMON
    + """
-- KEYS: one. ARGV: the bytes seen, value, ttl in ms, 1 where nothing may stand there too.
local raw = read(KEYS[1])
if raw == ARGV[1] or (ARGV[4] == '1' and model_of(raw) == nil) then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return report(1)
"""
)
"""Compare and set on the raw bytes seen."""

RELEASE: Final = (
    _COMMON
    + """
-- KEYS: one. ARGV: the bytes seen.
if read(KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return report(1)
"""
)
"""Delete if the bytes are still those seen."""

SCRIPTS: Final = {"claim": CLAIM, "replace": REPLACE, "release": RELEASE}
SHAS: Final = {
    name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    for name, text in SCRIPTS.items()
}
"""By these names a server knows the scripts that it has run."""
