"""What the server does in one step: scripts, each for any number of streams at once.

A script is the body of a function of one stream's keys `K` and arguments `A`. One
server runs it for a whole list of streams in one call, since a call for each of them
would cost more than all the rest. In a cluster, where each stream has a slot of its
own, it is one call for each.

What a body returns for a stream is a list that begins with one of the words below; an
error of the server is `error` and its text.
"""

from __future__ import annotations

from typing import Final

DONE: Final = b"done"
LOST: Final = b"lost"  # another node has it
MISSING: Final = b"missing"  # it is not in the store, or not all of it
BURIED: Final = b"buried"  # others took its owner for dead, and it for lost
ERROR: Final = b"error"

FRAME: Final = """
local function one(K, A)
%s
end
local out = {}
for i = 0, #KEYS / %d - 1 do
  local K, A = {}, {}
  for j = 1, %d do K[j] = KEYS[i * %d + j] end
  for j = 1, %d do A[j] = ARGV[i * %d + j] end
  local fine, result = pcall(one, K, A)
  if fine then
    out[i + 1] = result
  else
    local text = type(result) == 'table' and result.err or result
    out[i + 1] = {'error', tostring(text)}
  end
end
return out
"""


class Script:
    """One of them: so many keys and arguments of a stream."""

    def __init__(self, keys: int, arguments: int, body: str) -> None:
        self.keys = keys
        self.arguments = arguments
        self.text = (FRAME % (body, keys, keys, keys, arguments, arguments)).encode()


# Begin the log of an epoch, at a position. Not if another node has the stream; and not
# a second time: a call that was given up may be run late, behind the next one. If
# others took its owner for dead, and it for lost, it begins in the epoch behind that.
# A: epoch, owner, generation, meta, version, state, position, events, cut, ms, where
# the epoch begins
START = Script(
    3,
    11,
    """
  local known = redis.call('HMGET', K[1], 'e', 'o', 'g', 's')
  local epoch = tonumber(known[1] or '0')
  local buried = known[2] == '' and known[4] ~= 'running'
  if epoch > tonumber(A[1]) then return {buried and 'buried' or 'lost'} end
  if epoch == tonumber(A[1]) and not buried then
    if known[2] ~= A[2] then return {'lost'} end
    if tonumber(known[3] or '0') >= tonumber(A[3]) then return {'done'} end
  end
  redis.call('DEL', K[2], K[3])
  redis.call('HSET', K[1], 'e', A[1], 'o', A[2], 'g', A[3], 'm', A[4], 'v', A[5],
    's', A[6], 'z', A[11])
  redis.call('XADD', K[2], A[7] .. '-1', 'n', A[8], 'c', A[9])
  redis.call('PEXPIRE', K[1], A[10])
  redis.call('PEXPIRE', K[2], A[10])
  return {'done'}
""",
)

# Add what comes next. An entry that is there already came by a call that was given up.
# A: end, data, events, cut, the first position that is kept or ''
APPEND = Script(
    1,
    5,
    """
  local added
  if A[5] == '' then
    added = redis.pcall('XADD', K[1], 'NOMKSTREAM', A[1] .. '-0',
      'd', A[2], 'n', A[3], 'c', A[4])
  else
    added = redis.pcall('XADD', K[1], 'NOMKSTREAM', 'MINID', '~', A[5] .. '-1',
      A[1] .. '-0', 'd', A[2], 'n', A[3], 'c', A[4])
  end
  if not added then return {'missing'} end
  if type(added) == 'table' and added.err then
    if string.find(added.err, 'equal or smaller', 1, true) then return {'done'} end
    return {'error', added.err}
  end
  return {'done'}
""",
)

# Change what is known of a stream. A: epoch, owner, meta, version, new owner
CHANGE = Script(
    1,
    5,
    """
  local known = redis.call('HMGET', K[1], 'e', 'o', 's')
  if not known[1] then return {'missing'} end
  if known[2] == '' and known[3] ~= 'running' then return {'missing'} end
  if known[1] ~= A[1] or known[2] ~= A[2] then return {'lost'} end
  redis.call('HSET', K[1], 'm', A[3], 'v', A[4], 'o', A[5])
  return {'done'}
""",
)

# It has ended. A: epoch, owner, end, sealed end, state, ms
FINISH = Script(
    2,
    6,
    """
  local known = redis.call('HMGET', K[1], 'e', 'o', 's')
  if not known[1] then return {'missing'} end
  if known[2] == '' and known[3] ~= 'running' then return {'missing'} end
  if known[1] ~= A[1] or known[2] ~= A[2] then return {'lost'} end
  local added = redis.pcall('XADD', K[2], 'NOMKSTREAM', A[3] .. '-2', 'x', A[4])
  if not added then return {'missing'} end
  if type(added) == 'table' and added.err
    and not string.find(added.err, 'equal or smaller', 1, true) then
    return {'error', added.err}
  end
  redis.call('HSET', K[1], 's', A[5])
  redis.call('PEXPIRE', K[1], A[6])
  redis.call('PEXPIRE', K[2], A[6])
  return {'done'}
""",
)

# Delete it, if it is still this node's. A: owner
DROP = Script(
    2,
    1,
    """
  if redis.call('HGET', K[1], 'o') == A[1] then redis.call('DEL', K[1], K[2]) end
  return {'done'}
""",
)

# Have it stay, and see how it stands. A: epoch, owner, ms
REFRESH = Script(
    2,
    3,
    """
  local known = redis.call('HMGET', K[1], 'e', 'o', 'stop', 's')
  if not known[1] then return {'missing'} end
  if known[2] == '' and known[4] ~= 'running' then return {'missing'} end
  if known[1] ~= A[1] or known[2] ~= A[2] then return {'lost'} end
  redis.call('PEXPIRE', K[1], A[3])
  if redis.call('PEXPIRE', K[2], A[3]) == 0 then return {'missing'} end
  return {'done', known[3] or ''}
""",
)

# What is new behind an entry, and how the stream stands; its meta only if that is not
# the version that is known. Where nothing is needed before the end of an event, it is
# looked for from the end of the log, where most are who come back: the last entry that
# begins with an event, and not behind that one.
# A: entry, how many, version, that event or 0
READ = Script(
    2,
    4,
    """
  local known = redis.call('HMGET', K[1], 'e', 'o', 's', 'z', 'v')
  local begin, event = '(' .. A[1], tonumber(A[4])
  local before = event > 0 and '+'
  while before do
    local page = redis.call('XREVRANGE', K[2], before, '-', 'COUNT', 16)
    before = #page == 16 and '(' .. page[16][1]
    for _, entry in ipairs(page) do
      local fields = entry[2]
      local events = fields[3] == 'n' and fields[6] == '1' and tonumber(fields[4])
      if events and events > 0 and events <= event then
        begin, before = entry[1], false
        break
      end
    end
  end
  local entries = redis.call('XRANGE', K[2], begin, '+', 'COUNT', A[2])
  local meta = ''
  if known[5] and known[5] ~= A[3] then meta = redis.call('HGET', K[1], 'm') end
  return {'done', entries, known[1] or '', known[2] or '', known[3] or '',
    known[4] or '', known[5] or '', meta}
""",
)

# Take up the stream of another node, which had it in an epoch. The log goes with it,
# so what that node may still add is added to nothing. Asked again, since its answer was
# lost, it answers the same.
# A: epoch, next epoch, owner, generation, ms
CLAIM = Script(
    3,
    5,
    """
  local known = redis.call('HMGET', K[1], 'e', 's', 'o')
  if known[1] == A[2] and known[2] == 'running' and known[3] == A[3] then
    local last = redis.call('XREVRANGE', K[3], '+', '-', 'COUNT', 1)[1]
    return last and {'done', last[1]} or {'missing'}
  end
  if known[1] ~= A[1] or known[2] ~= 'running' then return {'lost'} end
  if redis.call('EXISTS', K[2]) == 0 then return {'missing'} end
  redis.call('RENAME', K[2], K[3])
  local last = redis.call('XREVRANGE', K[3], '+', '-', 'COUNT', 1)[1][1]
  redis.call('HSET', K[1], 'e', A[2], 'o', A[3], 'g', A[4],
    'z', string.match(last, "^%d+"))
  redis.call('PEXPIRE', K[1], A[5])
  redis.call('PEXPIRE', K[3], A[5])
  return {'done', last}
""",
)

# Let others have what was taken up, and was not begun. A: epoch, owner
GIVE_BACK = Script(
    1,
    2,
    """
  local known = redis.call('HMGET', K[1], 'e', 'o')
  if known[1] ~= A[1] or known[2] ~= A[2] then return {'lost'} end
  redis.call('HSET', K[1], 'o', '')
  return {'done'}
""",
)

# The owner has died, and nobody can take up what it had: it has ended. The log moves,
# so that an owner which lives after all adds nothing behind its end.
# A: epoch, next epoch, dead owner, sealed end, state, ms
BURY = Script(
    3,
    6,
    """
  local known = redis.call('HMGET', K[1], 'e', 'o', 's')
  if known[2] ~= A[3] then return {'lost'} end
  if known[3] == 'waiting' then
    redis.call('DEL', K[1])
    return {'done'}
  end
  if known[1] ~= A[1] or known[3] ~= 'running' then return {'lost'} end
  if redis.call('EXISTS', K[2]) == 0 then return {'missing'} end
  redis.call('RENAME', K[2], K[3])
  local last = redis.call('XREVRANGE', K[3], '+', '-', 'COUNT', 1)[1][1]
  local position = string.match(last, "^%d+")
  redis.call('XADD', K[3], position .. '-2', 'x', A[4])
  redis.call('HSET', K[1], 'e', A[2], 'o', '', 'g', 0, 's', A[5], 'z', position)
  redis.call('PEXPIRE', K[1], A[6])
  redis.call('PEXPIRE', K[3], A[6])
  return {'done'}
""",
)

# A client has asked for its end: tell whose it is.
STOP = Script(
    1,
    0,
    """
  local owner = redis.call('HGET', K[1], 'o')
  if not owner then return {'missing'} end
  redis.call('HSET', K[1], 'stop', '1')
  return {'done', owner}
""",
)

# A sign of life, and whether the last one was still there. A: ms
BEAT = Script(
    1,
    1,
    """
  local was = redis.call('EXISTS', K[1])
  redis.call('SET', K[1], '1', 'PX', A[1])
  return {'done', was}
""",
)

# For how many milliseconds is a node's last sign of life good? 0: there is none.
ALIVE = Script(
    1,
    0,
    """
  return {'done', math.max(redis.call('PTTL', K[1]), 0)}
""",
)

# How a stream stands.
FIND = Script(
    1,
    0,
    """
  local known = redis.call('HMGET', K[1], 'm', 'o', 'e', 's')
  return {'done', known[1] or '', known[2] or '', known[3] or '', known[4] or ''}
""",
)

# Who has a name that only one can have.
HOLDER = Script(
    1,
    0,
    """
  return {'done', redis.call('GET', K[1]) or ''}
""",
)

# A node will have a stream. A: owner, ms
ANNOUNCE = Script(
    1,
    2,
    """
  if redis.call('EXISTS', K[1]) == 0 then
    redis.call('HSET', K[1], 'e', '1', 'o', A[1], 's', 'waiting', 'z', '0')
    redis.call('PEXPIRE', K[1], A[2])
  elseif redis.call('HGET', K[1], 's') == 'waiting' then
    redis.call('PEXPIRE', K[1], A[2])
  end
  return {'done', redis.call('HGET', K[1], 'stop') or ''}
""",
)

# It will not have it. A: owner
RENOUNCE = Script(
    1,
    1,
    """
  local known = redis.call('HMGET', K[1], 'o', 's')
  if known[1] == A[1] and known[2] == 'waiting' then redis.call('DEL', K[1]) end
  return {'done'}
""",
)

# Remember something for a while. A: what, ms; 0: forget it
REMEMBER = Script(
    1,
    2,
    """
  if A[2] == '0' then
    redis.call('DEL', K[1])
  else
    redis.call('SET', K[1], A[1], 'PX', A[2])
  end
  return {'done'}
""",
)
