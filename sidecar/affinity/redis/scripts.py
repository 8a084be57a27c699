"""What must happen in one step on the Redis server. Lua, for 6.2 and up; each script has one key.

A script ends by reading what it leaves: after a script that writes, 6.2 and 7.0 no longer track a
key unless it is read again last, and an untracked key in a near cache is a stale one. A bare
PEXPIRE untracks a key likewise.
"""

from __future__ import annotations

import hashlib
from typing import Final

from sidecar.affinity.value import MAX_BYTES

_COMMON: Final = f"""
local function read()
  if redis.call('TYPE', KEYS[1]).ok ~= 'string' then return '' end
  local raw = redis.call('GETRANGE', KEYS[1], 0, {MAX_BYTES - 1})
  if #raw == {MAX_BYTES} then return '' end
  return raw
end
local function report() return {{read(), redis.call('PTTL', KEYS[1])}} end
"""

COMPARE_AND_SET: Final = (
    _COMMON
    + """
-- ARGV: the bytes seen, empty: nothing readable stands there; the value, empty: delete;
-- its ttl in ms, 0: that of the key stays.
if read() == ARGV[1] then
  if ARGV[2] == '' then redis.call('DEL', KEYS[1])
  elseif ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
  else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
end
return report()
"""
)
"""Sets or deletes if the bytes are those seen. Returns the bytes that stand then and their PTTL."""

REFRESH: Final = (
    _COMMON
    + """
-- ARGV: ttl in ms.
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left * 2 < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return report()
"""
)
"""Begins a key's time to live anew in its second half: another process may have done so, and every
write costs each of them a read. A key without expiry keeps none.
"""

SHAS: Final = {
    script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    for script in (COMPARE_AND_SET, REFRESH)
}
"""By these names a server knows the scripts that it has run."""
