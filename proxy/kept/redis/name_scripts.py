"""What the server does with the names of streams: see `scripts`."""

from __future__ import annotations

from proxy.kept.redis.scripts import Script

# Give a stream a name, behind those that have it. A: sealed ID, ms, how many at most
NAME = Script(
    1,
    3,
    """
  local now = redis.call('TIME')
  redis.call('ZADD', K[1], 'NX', now[1] * 1000 + math.floor(now[2] / 1000), A[1])
  redis.call('ZREMRANGEBYRANK', K[1], 0, -A[3] - 1)
  local left = redis.call('PTTL', K[1])
  if left < tonumber(A[2]) then redis.call('PEXPIRE', K[1], A[2]) end
  return {'done'}
""",
)

# Take a name from a stream. A: sealed ID
UNNAME = Script(
    1,
    1,
    """
  redis.call('ZREM', K[1], A[1])
  return {'done'}
""",
)

# Give a stream a name that only one can have, unless somebody else has it; `A[2]`, who
# is known to be dead, loses it. A: holder, dead holder or '', ms
ELECT = Script(
    1,
    3,
    """
  local known = redis.call('GET', K[1])
  if known and known ~= A[1] and known ~= A[2] then return {'done', known} end
  redis.call('SET', K[1], A[1], 'PX', A[3])
  return {'done', A[1]}
""",
)

# Have such a name stay with its holder, or free it if `ms` is 0. A: holder, ms
HOLD = Script(
    1,
    2,
    """
  if redis.call('GET', K[1]) ~= A[1] then return {'lost'} end
  if A[2] == '0' then redis.call('DEL', K[1]) else redis.call('PEXPIRE', K[1], A[2]) end
  return {'done'}
""",
)

# Who has a name.
MEMBERS = Script(
    1,
    0,
    """
  return {'done', redis.call('ZRANGE', K[1], 0, -1)}
""",
)

# Have a name stay, or give it again if all of it has gone; not if another stream has
# taken it. A: sealed ID, ms, how many at most
RENEW = Script(
    1,
    3,
    """
  if redis.call('EXISTS', K[1]) == 0 then
    local now = redis.call('TIME')
    redis.call('ZADD', K[1], now[1] * 1000 + math.floor(now[2] / 1000), A[1])
  elseif not redis.call('ZSCORE', K[1], A[1]) then
    return {'lost'}
  end
  local left = redis.call('PTTL', K[1])
  if left < tonumber(A[2]) then redis.call('PEXPIRE', K[1], A[2]) end
  return {'done'}
""",
)

# Take a name from all that had it before a stream; who they were. A: sealed ID
SUPERSEDE = Script(
    1,
    1,
    """
  local rank = redis.call('ZRANK', K[1], A[1])
  if not rank or rank == 0 then return {'done', {}} end
  local before = redis.call('ZRANGE', K[1], 0, rank - 1)
  redis.call('ZREMRANGEBYRANK', K[1], 0, rank - 1)
  return {'done', before}
""",
)
