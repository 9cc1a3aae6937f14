import {clusterPlace, crashContract} from '../helpers/crash-contract.ts';
import {openDesk} from '../helpers/desk.ts';

crashContract((schema) => clusterPlace(openDesk(schema)));
