// Where this suite runs, openstacksdk is there: clouds.yaml is compared with it on every run, not only on machines that happen
// to have it.

import "../unit/openstack/openstacksdk.test";
