"""The tests that every platform passes, for packages that bring a platform of their own.

    python -m pytest --pyargs yizhan.testing.conformance --conform pigeon

`--conform` names registered platforms, several with commas; without it all of them are tested. The tests want the extra
`yizhan[testing]`. They need no network: messages go to a sandbox on the loopback interface.

* `test_wire`: each call reads back what it wrote, is served, names its source; each fault arrives as its meaning.
* `test_compose`: a segment composes where the capabilities name it; limits can be lifted; settings are documented.
* `test_rules`: each dated profile has the same names.
* `test_delivery`: over a sandbox, each segment arrives, each file is uploaded once, a key is sent once, a lost answer
  is never called failed, and long text arrives whole and in order.
* `test_walk`: each segment is seen where it arrives, and is the same when a person there sends it on to the account.
"""
