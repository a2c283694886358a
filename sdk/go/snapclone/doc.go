// Point-in-time copies of storage and machines as Pulumi resources: OpenStack Cinder and Nova, IBM PowerVC, Dell EMC ViPR, ZStack.
package snapclone
