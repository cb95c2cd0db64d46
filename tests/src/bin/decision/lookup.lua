-- The same look-up as a Lua filter: the subject of the verified token in a table, then the rule for the request.
-- `users` (the groups of each subject) and `issuer` are written before this.
function envoy_on_request(handle)
  local verified = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
  local claims = verified and verified["payload"]
  if not claims then
    handle:respond({ [":status"] = "401" }, "no token\n")
    return
  end
  local groups = claims["iss"] == issuer and users[claims["sub"]]
  local headers = handle:headers()
  local path = string.match(headers:get(":path"), "^[^?]*")
  local refunds = headers:get(":method") == "GET" and string.match(path, "^/accounts/[^/]+/refunds$")
  local permitted = groups
    and (groups["payments-admins"] or groups["payments-auditors"])
    and not groups["contractors"]
  if not (refunds and permitted) then
    handle:respond({ [":status"] = "403" }, "refused\n")
  end
end
