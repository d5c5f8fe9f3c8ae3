-- Claim notifications that may be sent now. ARGV: maximum number, lease in milliseconds.
-- Returns 'outdated', or what `claim_ready` returns.
if outdated() then return 'outdated' end
return claim_ready(tonumber(ARGV[SHARED_ARGS + 1]), tonumber(ARGV[SHARED_ARGS + 2]))
